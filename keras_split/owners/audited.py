"""A data owner that leaves a trace of its turns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from keras_split.audit import AuditLog
from keras_split.crypto import Trained
from keras_split.errors import EnvelopeRefused
from keras_split.owners.owner import DataOwner, Taken
from keras_split.state import Bundle
from keras_split.turns import Waiting


class AuditedOwner(DataOwner):
    """Writes a line for each turn and commit, with the digest of the newest link, and for refused envelopes.

    Args:
        audit: Where to.
        given: As `DataOwner`.
    """

    def __init__(self, audit: AuditLog, *given: Any, **named: Any):
        super().__init__(*given, **named)
        self._audit = audit

    def take(self, tell: Callable[[Waiting], None]) -> Taken:
        """Waits for the turn."""
        with self._refusals("take"):
            taken = super().take(tell)
        self._tell("turn_granted", {"turn": taken.turn, **self._newest()}, durable=True)
        return taken

    def look(self) -> Bundle:
        """The newest state."""
        with self._refusals("look"):
            return super().look()

    def commit(self, state: Bundle, turn: int, trained: Trained, *, ends: bool, used: float) -> None:
        """Hands over."""
        with self._refusals("commit"):
            super().commit(state, turn, trained, ends=ends, used=used)
        self._tell("committed", {"turn": turn, **self._newest(), "ends": ends}, durable=True)

    def leave(self, *, is_done: bool) -> None:
        """Is not waited for from now on."""
        super().leave(is_done=is_done)
        self._tell("turn_left", {"is_done": is_done})

    def _newest(self) -> dict[str, Any]:
        """Number and digest of the newest link that this member has accepted."""
        pin = self.membership.pinned.read()
        return {} if pin is None else {"number": pin.number, "link": pin.digest}

    def _tell(self, event: str, facts: dict[str, Any], *, durable: bool = False) -> None:
        facts = {"topology": self._agreed.topology, **facts}
        self._audit.append(event, self.membership.identity.name, facts, durable=durable)

    @contextlib.contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        """Of what others have sealed; refusals of the server are the session's to tell."""
        try:
            yield
        except EnvelopeRefused as error:
            self._tell("refused", {"call": what, "error": type(error).__name__})
            raise
