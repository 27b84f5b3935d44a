"""A user's callbacks, for whom all attempts are one training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


class OneTraining(keras.callbacks.CallbackList):
    """Tells callbacks of one training, however often `fit` has to go on after a fault.

    So they keep what they have counted and the files that they have opened. An epoch that is begun again
    is told again, from `on_epoch_begin` on; its steps that are only passed over are not.

    Args:
        callbacks: The user's.
        model: Which they have from now on: turns are told before Keras would set it.
        has_turn: Waits for the turn, unless it is this client's already. Before callbacks hear of an epoch:
            what they set then, such as a learning rate, would otherwise be the last holder's again.
    """

    def __init__(self, callbacks: list[Any], model: Any, has_turn: Callable[[], None]):
        super().__init__(callbacks)
        super().set_model(model)
        self._has_turn = has_turn
        self._has_begun = False
        self._passes = False
        self._last_logs: Any = None

    def set_model(self, model: Any) -> None:
        """Not again with each attempt: TensorBoard would begin new files."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Tells of the first attempt."""
        if not self._has_begun:
            super().on_train_begin(logs)
            self._has_begun = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Tells of it in this client's turn."""
        self._has_turn()
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Tells of steps that are trained."""
        self._passes = self.model.steps_to_pass > 0
        if not self._passes:
            super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tells of steps that were trained."""
        if not self._passes:
            # Not by `super`, which copies: callbacks may add to what History and the progress bar show.
            for callback in self.callbacks:
                callback.on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Likewise."""
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Tells nothing yet, since the last commit may still fail."""
        self._last_logs = logs or self._last_logs

    def finish(self) -> None:
        """Tells of the end of the training."""
        super().on_train_end(self._last_logs)
