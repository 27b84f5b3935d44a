"""What the demonstration watches while it trains."""

from __future__ import annotations

import statistics
import time
from typing import Any

import keras
import numpy as np


class StepClock(keras.callbacks.Callback):
    """Measures the time from the end of one training step to the end of the next."""

    def __init__(self) -> None:
        super().__init__()
        self._epochs: list[list[float]] = []
        self._last: float | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts a list of its own for each epoch."""
        del epoch, logs
        self._epochs.append([])
        self._last = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Takes the time."""
        del batch, logs
        now = time.perf_counter()
        if self._last is not None:
            self._epochs[-1].append(now - self._last)
        self._last = now

    def median_seconds(self) -> float:
        """Of the steps after the first epoch, which also compiles, if there are any."""
        later = [seconds for epoch in self._epochs[1:] for seconds in epoch]
        return statistics.median(later or self._epochs[0])


class TestScores(keras.callbacks.Callback):
    """Adds the accuracy on the test images to each epoch's logs.

    `validation_data` would do so within the epoch, whose bytes are to be training's alone.

    Args:
        x: Images `(rows, height, width, channels)`.
        y: Classes `(rows,)`.
        batch_size: Rows in a batch.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int):
        super().__init__()
        self._data: dict[str, Any] = {"x": x, "y": y, "batch_size": batch_size}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Evaluates."""
        del epoch
        scores = self.model.evaluate(**self._data, verbose=0, return_dict=True)
        logs["test_accuracy"] = scores["accuracy"]
