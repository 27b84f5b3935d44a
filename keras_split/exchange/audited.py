"""A handover that leaves a trace of the blobs that went and came."""

from __future__ import annotations

from keras_split.audit import AuditLog
from keras_split.errors import SplitError
from keras_split.exchange.handover import Handover, Hint


class AuditedHandover:
    """Writes digest, size and holder of each blob, and which could not be had.

    Args:
        handover: The way that is taken.
        audit: Where to.
    """

    def __init__(self, handover: Handover, audit: AuditLog):
        self._handover = handover
        self._audit = audit

    @property
    def address(self) -> str:
        """The way's."""
        return self._handover.address

    def put(self, name: str, blob: bytes) -> None:
        """Keeps a blob."""
        try:
            self._handover.put(name, blob)
        except SplitError as error:
            self._audit.append("refused", facts={"call": "put", "blob": name, "error": type(error).__name__})
            raise
        self._audit.append("envelope_put", facts={"blob": name, "bytes": len(blob)})

    def get(self, name: str, size: int, hint: Hint | None = None) -> bytes:
        """Fetches a blob."""
        holder = "" if hint is None else hint.holder
        try:
            blob = self._handover.get(name, size, hint)
        except SplitError as error:
            facts = {"call": "get", "blob": name, "error": type(error).__name__}
            self._audit.append("refused", holder, facts)
            raise
        self._audit.append("envelope_got", holder, {"blob": name, "bytes": len(blob)})
        return blob

    def close(self) -> None:
        """Ends connections."""
        self._handover.close()
