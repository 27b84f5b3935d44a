"""One line of an audit log.

A line is a JSON object in one spelling: no spaces, keys in the order of `FIELDS`, ASCII. `digest` is the
SHA-256 of the object without it, and `previous` the digest of the line before, so that nothing in a line, and
no line among others, can be changed without a trace.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

FIELDS = ("number", "at", "event", "party", "facts", "previous", "digest")
# A line above this is none of ours; it bounds what a reader holds in memory.
MAX_LINE_BYTES = 1 << 20
# The event of a line that accounts for the bytes between it and the last whole line.
SEALED = "sealed"


class Record(NamedTuple):
    """What a line says.

    Args:
        number: Of the line, from 0.
        at: When, in UTC, ISO 8601.
        event: What happened.
        party: Who did it; empty for the side itself.
        facts: JSON-ready details.
        previous: Digest of the line before; empty for the first.
    """

    number: int
    at: str
    event: str
    party: str
    facts: dict[str, Any]
    previous: str


def written(record: Record) -> tuple[bytes, str]:
    """The line without its end, and its digest."""
    text = _spelled(record._asdict())
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{text[:-1]},"digest":"{digest}"}}'.encode(), digest


def read(line: bytes) -> tuple[Record, str]:
    """The record of a line, and its digest.

    Raises:
        ValueError: The line is JSON, and not as it was written.
        NotJson: It is no JSON object at all, as a line that was never finished.
    """
    found = _parsed(line)
    if tuple(found) != FIELDS or not isinstance(found["facts"], dict) or type(found["number"]) is not int:
        raise ValueError("it is no line of an audit log")
    digest = found.pop("digest")
    record = Record(**found)
    if written(record) != (line, digest):
        raise ValueError("it was changed: its digest is not that of its content")
    return record, digest


class NotJson(ValueError):
    """Bytes that are no JSON object."""


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise NotJson("it is not JSON") from None
    if not isinstance(found, dict):
        raise NotJson("it is no JSON object")
    return found


def _spelled(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
