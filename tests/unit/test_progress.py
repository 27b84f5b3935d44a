"""The progress bar shows what Keras shows, and not what is only for History."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from keras_split.callbacks import Progress

FOR_HISTORY = ("bytes_sent", "bytes_received", "client_flops", "bytes_per_sample")


class Numbers(keras.callbacks.Callback):
    """Puts a number of each name into the logs, as a split model and a search do."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs.update(dict.fromkeys(FOR_HISTORY, 7.0))


def test_bytes_and_costs_are_hidden_and_metrics_of_the_users_own_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    own = [keras.metrics.MeanSquaredError(name=name) for name in ("client_error", "bytes_error")]
    model.compile("sgd", "mse", metrics=own)
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    history = model.fit(x, y, callbacks=[Numbers(), Progress()]).history
    printed = capsys.readouterr().out
    assert set(FOR_HISTORY) <= set(history)
    assert not [name for name in FOR_HISTORY if name in printed]
    assert "client_error: " in printed and "bytes_error: " in printed
