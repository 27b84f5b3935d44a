"""What `fit` adds to a split model's callbacks by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_split.segment import innermost
from keras_split.session import Session

# In the logs of an epoch: from `Traffic`, and in a search from the costs of a trial's cut.
_HIDDEN = {"bytes_sent", "bytes_received", "client_flops", "bytes_per_sample"}


class Traffic(keras.callbacks.Callback):
    """Puts the bytes of each epoch into its logs, and ends the training on the server as well.

    `fit` adds it before all others, so that History and CSVLogger see `bytes_sent` and
    `bytes_received`, and callbacks that restore weights at the end do so after the server's optimizer
    has finalised its own.

    Args:
        session: Returns that of the model.
    """

    def __init__(self, session: Callable[[], Session]):
        super().__init__()
        self._session = session
        self._sent = 0
        self._received = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remembers where the epoch starts."""
        del epoch, logs
        meter = self._session().meter
        self._sent, self._received = meter.sent, meter.received

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the bytes, validation included."""
        del epoch
        if logs is not None:
            meter = self._session().meter
            logs["bytes_sent"] = meter.sent - self._sent
            logs["bytes_received"] = meter.received - self._received

    def on_train_end(self, logs: Any = None) -> None:
        """Mirrors what Keras has just done to the client's variables."""
        del logs
        if innermost(self.model.optimizer).use_ema:
            self._session().finalize()


class Progress(keras.callbacks.ProgbarLogger):
    """Keras' progress bar without bytes and costs, which would break its line in two."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Completes the bar."""
        shown = {name: value for name, value in (logs or {}).items() if name not in _HIDDEN}
        super().on_epoch_end(epoch, shown)
