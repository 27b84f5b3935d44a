"""How much the head learns from reconstruction."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule


class SemiSupervised(keras.callbacks.Callback):
    """Weighs the reconstruction's gradient where it enters the head (paper, section 3.3, Eq. 1).

    The head's gradient is the server's cut gradient plus alpha times the gradient of the decoder's
    reconstruction loss. The decoder's own update is not scaled (Algorithm 3, line 14). History gets
    `alpha`, as it is at the end of each epoch. When `fit` ends, the model's alpha is again what it was.

    Args:
        alpha: A number of at least 0; or a function from the epoch, counted from 0, to one; or a Keras
            schedule over the client's updates. A schedule is asked before each execution, so that
            with `steps_per_execution=N` alpha changes every N steps.

    Example:

    ```python
    split = keras_split.SplitModel(model, cut="pool2", decoder=decoder)
    split.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    split.fit(x, y, callbacks=[keras_split.SemiSupervised(alpha=0.1)])  # y is -1 where unknown
    ```

    Raises:
        ValueError: Not such an alpha.
    """

    def __init__(self, alpha: float | LearningRateSchedule | Callable[[int], float]):
        super().__init__()
        if not (callable(alpha) or isinstance(alpha, numbers.Real)):
            raise ValueError(
                "`alpha` is a number, a function of the epoch, or a Keras learning-rate schedule. "
                f"Received: alpha={alpha!r}."
            )
        self._alpha = alpha
        if isinstance(alpha, numbers.Real):
            _checked(alpha)

    def on_train_begin(self, logs: Any = None) -> None:
        """Looks for the decoder."""
        del logs
        if getattr(self.model, "decoder", None) is None:
            raise ValueError(
                "SemiSupervised weighs what a decoder reconstructs, and this model has none. Give one: "
                "`SplitModel(model, cut, decoder=decoder)`."
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Sets the epoch's alpha."""
        del logs
        if isinstance(self._alpha, LearningRateSchedule):
            return
        self.model.alpha = _checked(self._alpha(epoch) if callable(self._alpha) else self._alpha)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Asks a schedule."""
        del batch, logs
        if isinstance(self._alpha, LearningRateSchedule):
            self.model.alpha = _checked(self._alpha(self.model.optimizer.iterations))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Puts alpha into History."""
        del epoch
        if logs is not None:
            logs["alpha"] = self.model.alpha


def _checked(alpha: Any) -> float:
    value = float(alpha)
    if not 0.0 <= value < float("inf"):
        raise ValueError(f"`alpha` is at least 0 and finite. Received: alpha={value}.")
    return value
