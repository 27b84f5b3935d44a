"""Turns inside `fit`: before a step, take one; when it is used up, hand over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_split.callbacks import TurnWatcher
from keras_split.model.ownership import Ownership
from keras_split.owners import Taken, Trained, Waiting
from keras_split.segment import innermost


class TakesTurns(keras.callbacks.Callback):
    """Trains only while the turn is this client's.

    A turn is looked at before each execution of steps, and after each epoch once it has been validated, so
    that a turn by epochs validates what it has trained.

    Args:
        ownership: The model's.
        tell: Called while the turn is another's.
        watchers: Are told of turns as well.

    Attributes:
        trained: Of this client's own data, by the last attempt.
    """

    def __init__(
        self,
        ownership: Ownership,
        tell: Callable[[Waiting], None],
        watchers: Sequence[TurnWatcher] = (),
    ):
        super().__init__()
        self._ownership = ownership
        self._tell = tell
        self._watchers = watchers
        self._taken: Taken | None = None
        self.trained = Trained()
        self._passes = 0
        self._updates = 0
        self._used = 0.0
        self._since = 0.0
        self._uncommitted = 0
        self._failures = 0

    def take(self) -> Taken:
        """Waits for the turn, and goes on from the state that the last holder left."""
        self._taken = taken = self._ownership.take(self._wait)
        self._used, self._since, self._uncommitted = taken.used, time.monotonic(), 0
        for watcher in self._watchers:
            watcher.on_turn_begin(taken.turn)
        return taken

    def ensure(self) -> None:
        """Takes the turn, unless it is this client's and not used up."""
        self._hand_over_if_used_up()
        if self._taken is None:
            self.take()

    def drop(self) -> None:
        """The turn is lost, with what was not committed."""
        self._taken = None

    def failed(self) -> int:
        """Counts faults since the last commit."""
        self._failures += 1
        return self._failures

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remembers how much of the data is trained."""
        del logs
        self.trained = Trained(epoch, 0)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Takes the turn, if need be after handing over the last."""
        del batch, logs
        # What was trained and committed before is only passed over.
        self._passes = self.model.steps_to_pass
        if self._passes:
            return
        self.ensure()
        self._updates = self._now_updates()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts, and commits in the midst of a long turn."""
        del batch, logs
        if self._passes:
            self._advance(self._passes - self.model.steps_to_pass)
            return
        steps = self._now_updates() - self._updates
        self._advance(steps)
        self._uncommitted += steps
        self._count(steps, "steps")
        every = self._taken.commit_every if self._taken else 0
        if every and self._uncommitted >= every and not self._is_used_up():
            self._commit(ends=False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Hands over, if the turn ends here."""
        del logs
        # If the data have become fewer, some are left.
        self.model.steps_to_pass = 0
        self.trained = Trained(epoch + 1, 0)
        self._count(1, "epochs")
        self._hand_over_if_used_up()

    def on_train_end(self, logs: Any = None) -> None:
        """Hands over what there is."""
        del logs
        if self._taken is not None and self._uncommitted:
            self._commit(ends=True)
        self._taken = None

    def _now_updates(self) -> int:
        # Keras numbers the steps of an execution as if it were full, and `iterations` is one number for all
        # steps whose gradients are accumulated.
        return int(innermost(self.model.optimizer)._iterations)

    def _advance(self, steps: int) -> None:
        self.trained = self.trained._replace(steps=self.trained.steps + steps)

    def _count(self, amount: float, unit: str) -> None:
        if self._taken is not None and self._taken.quota.unit == unit:
            self._used += amount

    def _is_used_up(self) -> bool:
        if self._taken is None:
            return False
        return self._now_used() >= self._taken.quota.amount

    def _now_used(self) -> float:
        timed = self._taken is not None and self._taken.quota.unit == "seconds"
        return self._used + (time.monotonic() - self._since if timed else 0.0)

    def _hand_over_if_used_up(self) -> None:
        if self._is_used_up():
            self._commit(ends=True)
            self._taken = None

    def _commit(self, *, ends: bool) -> None:
        if self._taken is None:
            return
        self._ownership.commit(self._taken.turn, self.trained, ends=ends, used=self._now_used())
        self._uncommitted = self._failures = 0
        if ends:
            for watcher in self._watchers:
                watcher.on_turn_end(self._taken.turn)

    def _wait(self, waiting: Waiting) -> None:
        self._tell(waiting)
        for watcher in self._watchers:
            watcher.on_turn_wait(waiting)
