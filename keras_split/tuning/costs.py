"""What a trial's cut costs its client: in the logs of `fit`, and in KerasTuner's summary of the trial."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras_tuner.engine.trial import Trial

from keras_split.partition import Cut

_SHOWN = {"client_flops": "Client FLOPs per sample", "bytes_per_sample": "Bytes up per sample"}


class Costs(keras.callbacks.Callback):
    """Puts `client_flops` and `bytes_per_sample` into the logs of each epoch.

    Args:
        cut: The trial's.
    """

    def __init__(self, cut: Cut):
        super().__init__()
        self._costs = {
            "client_flops": cut.client_flops,
            "bytes_per_sample": cut.bytes_per_sample,
        }

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Before the callbacks that look at the objective."""
        del epoch
        if logs is not None:
            logs.update({name: cost for name, cost in self._costs.items() if cost is not None})


def show_in_summaries() -> None:
    """Has each trial with such costs print them.

    `results_summary()` prints the hyperparameters and the score of a trial and has no place for more.
    As hyperparameters, costs would make a choice that has been tried look like a new one.
    """
    if not hasattr(Trial.summary, "__wrapped__"):
        Trial.summary = _with_costs(Trial.summary)


def _with_costs(summary: Callable[[Trial], None]) -> Callable[[Trial], None]:
    @functools.wraps(summary)
    def summary_with_costs(trial: Trial) -> None:
        summary(trial)
        for name, title in _SHOWN.items():
            if trial.metrics.exists(name):
                print(f"{title}: {trial.metrics.get_best_value(name):,.0f}")

    return summary_with_costs
