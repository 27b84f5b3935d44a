"""The History of a training in several attempts."""

from __future__ import annotations

from typing import Any

import keras


class JoinedHistory(keras.callbacks.History):
    """What one undisturbed `fit` would have told of the epochs that all attempts have trained.

    An epoch that was begun several times counts once, as it was the last time. An epoch whose steps had all
    been trained before was validated at most, and does not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self._logs: dict[int, dict[str, Any]] = {}
        self._has_trained = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Keeps what earlier attempts have told."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Nothing is trained yet."""
        del epoch, logs
        self._has_trained = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tells steps from those that are only passed over, which measure nothing."""
        del batch
        self._has_trained = self._has_trained or bool(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes all epochs anew, as far as they still count."""
        if not self._has_trained:
            return
        # Later ones were taken back when this attempt began.
        self._logs = {at: each for at, each in self._logs.items() if at < epoch} | {epoch: logs or {}}
        self.epoch.clear()
        self.history.clear()
        for at, each in self._logs.items():
            super().on_epoch_end(at, each)
