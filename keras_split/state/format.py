"""The form of a state as bytes: a line of JSON, a body, and the SHA-256 of all before it.

No pickle, no HDF5 and no npz: each of these turns a few hostile bytes into code or into gigabytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

_DIGEST_BYTES = 32
# Some 40,000 tensors. A hostile line of lists takes some twenty times its length while it is read.
_MAX_HEADER_BYTES = 4 << 20


class CorruptState(ValueError):
    """Bytes that are not what was once written."""


def header_line(header: dict[str, Any]) -> bytes:
    """A JSON-ready header as the first line.

    Raises:
        ValueError: It is longer than a reader accepts.
    """
    line = json.dumps(header, allow_nan=False).encode("ascii") + b"\n"
    if len(line) > _MAX_HEADER_BYTES:
        raise ValueError(
            f"A state's header takes {len(line)} bytes, and readers accept {_MAX_HEADER_BYTES}. Use fewer "
            f"variables or shorter names. Received: header of {len(header.get('tensors', ()))} tensors."
        )
    return line


def framed(header: dict[str, Any], pieces: Iterable[Any]) -> Iterator[bytes]:
    """The bytes of a header and a body, piece by piece, ended by their digest.

    Args:
        header: JSON-ready, with its `format`.
        pieces: The body, as objects with the buffer protocol.
    """
    hasher = hashlib.sha256()
    for piece in (header_line(header), *pieces):
        hasher.update(piece)
        yield piece
    yield hasher.digest()


def unframed(content: bytes, form: str, keys: set[str], what: str) -> tuple[dict[str, Any], memoryview]:
    """Header and body of what `framed` gave; nothing is interpreted before the digest is checked.

    Args:
        content: All the bytes.
        form: The `format` that is expected.
        keys: All other keys of the header.
        what: Begins the text of an error, such as the file's name.

    Raises:
        CorruptState: The digest is wrong, or the header is not of this form.
    """
    body, digest = memoryview(content)[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise CorruptState(f"{what} is damaged: its digest does not match its contents.")
    end = content.find(b"\n", 0, min(_MAX_HEADER_BYTES, len(body)))
    header = _parsed(content[: max(end, 0)])
    if not isinstance(header, dict) or header.get("format") != form:
        raise CorruptState(f"{what} is not a state of this version ({form}).")
    if header.keys() != keys | {"format"}:
        raise CorruptState(f"{what} has a header without {sorted(keys)}, or with more than these.")
    return header, body[end + 1 :]


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line.decode("ascii"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        # Among them are numbers of more digits than Python reads.
        return None


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}.")
