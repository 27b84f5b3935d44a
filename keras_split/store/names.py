"""Names of runs and blobs: nothing but hex digits, so that no name can lead out of its folder."""

from __future__ import annotations

import hashlib
import re

from keras_split import run_names
from keras_split.errors import ProtocolError

_NAME = re.compile(r"[0-9a-f]{64}")


def check_run(run: str) -> str:
    """Returns `run`.

    Raises:
        ProtocolError: It is no name of a run.
    """
    try:
        return run_names.check_run(run)
    except ValueError as error:
        raise ProtocolError(str(error)) from None


def check_name(name: str) -> str:
    """Returns `name`.

    Raises:
        ProtocolError: It is no SHA-256 in hex.
    """
    if not _NAME.fullmatch(name):
        raise ProtocolError(
            "A blob is named by the SHA-256 of its bytes, 64 hex digits in lower case. "
            f"Received: name={name[:80]!r}."
        )
    return name


def is_blob(run: str, name: str) -> bool:
    """Whether the two name a run and a blob."""
    return run_names.is_run(run) and _NAME.fullmatch(name) is not None


def check_digest(blob: bytes, name: str, source: str) -> bytes:
    """Returns `blob`.

    Args:
        blob: What somebody says is the blob.
        name: Of the blob.
        source: Who said so, for the text.

    Raises:
        ProtocolError: The bytes are not those that the name stands for.
    """
    if hashlib.sha256(blob).hexdigest() != name:
        raise ProtocolError(
            f"{source} has other bytes than those of the blob {name[:12]}, or not all of them: damaged, or "
            "changed by somebody. They were thrown away."
        )
    return blob
