"""One way to write a JSON value, so that bytes can be hashed and signed.

Keys are sorted, there are no spaces, all is ASCII, and numbers are integers. What is read within a
ceiling of bytes either has no second reading or is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# The largest integer that every reader of JSON keeps exact.
_LARGEST = 2**53 - 1


def encode(value: Any) -> bytes:
    """The canonical bytes of a JSON-ready value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def decode(data: bytes | str, max_bytes: int) -> Any:
    """Reads JSON of any spacing.

    Raises:
        ValueError: Too long, not JSON, a key twice in one object, or a number that is no integer.
    """
    if len(data) > max_bytes:
        raise ValueError(f"expected at most {max_bytes:,} bytes, and received {len(data):,}")
    try:
        return json.loads(data, object_pairs_hook=_once, parse_float=_refuse, parse_constant=_refuse)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        # What the parser says would quote the contents.
        raise ValueError("it is not JSON") from None


def decode_canonical(data: bytes, max_bytes: int) -> Any:
    """Reads JSON that is written as `encode` writes it.

    Raises:
        ValueError: What `decode` refuses, or another way to write the same value.
    """
    value = decode(data, max_bytes)
    if encode(value) != data:
        raise ValueError("it is JSON of another form than the canonical one")
    return value


def fields(value: Any, names: frozenset[str]) -> dict[str, Any]:
    """A JSON object that has these keys and no others."""
    if not isinstance(value, dict) or value.keys() != names:
        raise ValueError(f"expected an object with the keys {', '.join(sorted(names))}")
    return value


def sha256(data: bytes | memoryview) -> str:
    """The digest in hex."""
    return hashlib.sha256(data).hexdigest()


def from_hex(text: Any, what: str) -> bytes:
    """Bytes written as lower-case hex, and in no other way."""
    if isinstance(text, str) and len(text) % 2 == 0 and re.fullmatch(r"[0-9a-f]*", text):
        return bytes.fromhex(text)
    raise ValueError(f"expected {what} in lower-case hex")


def check_digest(name: str, value: Any, *, may_be_empty: bool = False) -> None:
    """Raises ValueError unless it is a SHA-256 in lower-case hex."""
    if may_be_empty and value == "":
        return
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError(f"`{name}` must be a SHA-256 of 64 lower-case hex digits")


def check_name(name: str, value: Any) -> None:
    """Raises ValueError unless it can be a member's or an owner's name."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            f"`{name}` must be up to 64 letters, digits, dots, dashes and underscores, and start with "
            "a letter or digit"
        )


def check_count(name: str, value: Any, least: int = 0) -> None:
    """Raises ValueError unless it is an integer of a sane size."""
    if type(value) is not int or not least <= value <= _LARGEST:
        raise ValueError(f"`{name}` must be an integer from {least} to {_LARGEST}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has one key twice")
    return found


def _refuse(text: str) -> Any:
    del text
    raise ValueError("a number is not an integer")
