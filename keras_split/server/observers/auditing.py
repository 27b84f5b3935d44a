"""The server's audit log."""

from __future__ import annotations

import logging

from keras_split.audit import AuditLog
from keras_split.server.observers.observer import Event, Observer

# Asked a few times a second by everybody who waits; the turn that comes of it is in the log.
_NOT_WRITTEN = frozenset({"turn_waits"})
_log = logging.getLogger(__name__)


class Auditing(Observer):
    """Writes every event as a line, on the disk at each commit.

    Args:
        log: Where to.
    """

    def __init__(self, log: AuditLog):
        self._audit = log

    def see(self, event: Event) -> None:
        """Writes it."""
        if event.kind not in _NOT_WRITTEN:
            self._audit.append(event.kind, event.party, event.facts, durable=event.lasts)

    def close(self) -> None:
        """Ends the log, and says its head, for others to compare."""
        self._audit.close()
        lines, head = self._audit.head
        _log.info("Audit log %s: %d lines, head %s.", self._audit.path, lines, head)
