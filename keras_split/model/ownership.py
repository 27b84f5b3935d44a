"""What makes a split model one of several data owners'."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from keras_split.audit import AuditLog
from keras_split.digest import digest_of
from keras_split.exchange import AuditedHandover, Handover
from keras_split.model.client_state import ClientState
from keras_split.model.halves import Halves
from keras_split.owners import Agreed, AuditedOwner, DataOwner, Membership, Taken, Trained, Waiting
from keras_split.state import Bundle


class Ownership:
    """A split model's membership in a run, and its state there.

    Args:
        model: The split model, just compiled.
        halves: The model's.
        membership: Who the client is.
        handover: The way of the envelopes.
        audit: Where a trace is left; None for none.
    """

    def __init__(
        self,
        model: Any,
        halves: Halves,
        membership: Membership,
        handover: Handover,
        audit: AuditLog | None = None,
    ):
        self._halves = halves
        self._membership = membership
        self._handover = handover if audit is None else AuditedHandover(handover, audit)
        self._audit = audit
        self._owner: DataOwner | None = None
        # At once: what a user sets before the first turn is no part of what all members begin with.
        self.state = ClientState(model, halves)

    @property
    def owner(self) -> DataOwner:
        """Takes turns for this model."""
        if self._owner is None:
            joined = self._halves.joined()
            make = DataOwner if self._audit is None else partial(AuditedOwner, self._audit)
            self._owner = make(
                self._membership,
                self._handover,
                self._halves.session,
                Agreed(joined.digest, digest_of(joined.settings or {})),
                self.state.expand,
                self.state.size,
            )
        return self._owner

    def take(self, tell: Callable[[Waiting], None]) -> Taken:
        """Waits for the turn, and goes to the state that the last holder left."""
        taken = self.owner.take(tell)
        self._go_to(taken.state)
        return taken

    def commit(self, turn: int, trained: Trained, *, ends: bool, used: float) -> None:
        """Hands over what has been trained."""
        self.owner.commit(self.state.read(), turn, trained, ends=ends, used=used)
        self._halves.commit = self.owner.last_commit

    def refresh(self) -> None:
        """Goes to the run's newest state, without a turn."""
        found: Bundle = self.owner.look()
        if found:
            self._go_to(found)
            self._halves.session().is_at(self.owner.last_commit)

    def _go_to(self, state: Bundle) -> None:
        self.state.write(state)
        self._halves.commit = self.owner.last_commit

    def close(self) -> None:
        """Offers no envelopes any more."""
        self._handover.close()
