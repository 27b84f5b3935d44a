"""What a search is to find, with a price on the client's work and on its traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine.metrics_tracking import infer_metric_direction
from keras_tuner.errors import FatalValueError

NAME = "score"


class Objective(keras_tuner.Objective):
    """A metric, less what the cut costs the client.

    The value of an epoch is `metric - flops * client_flops - bytes * bytes_per_sample` where the metric
    is to be as large as possible, and `metric + ...` where it is to be small. KerasTuner reports it as
    `score`.

    Args:
        metric: Name in the logs of `fit`, as `"val_accuracy"`.
        direction: `"max"` or `"min"`; None to tell it from the metric's name.
        flops: Price of one floating-point operation of the client's for one sample, in units of the
            metric. 1e-8: a million of them for a hundredth of accuracy.
        bytes: Price of one byte that goes up for one sample, in units of the metric. 1e-5: a kilobyte
            for a hundredth.

    Example:

    ```python
    objective = keras_split.tuning.Objective("val_accuracy", flops=1e-8, bytes=1e-5)
    tuner = keras_tuner.RandomSearch(hypermodel, objective, max_trials=20)
    ```

    Raises:
        ValueError: A negative or infinite price, or a metric whose direction is not known.
    """

    def __init__(self, metric: str, direction: str | None = None, *, flops: float = 0.0, bytes: float = 0.0):
        direction = direction or infer_metric_direction(metric)
        if direction not in ("max", "min"):
            raise ValueError(
                f"Whether {metric!r} is to be large or small cannot be told from its name. Give "
                f'`direction="max"` or `direction="min"`. Received: direction={direction!r}.'
            )
        if not (0 <= flops < float("inf") and 0 <= bytes < float("inf")):
            raise ValueError(
                f"Prices are at least 0 and finite, in units of {metric!r}. "
                f"Received: flops={flops}, bytes={bytes}."
            )
        super().__init__(NAME, direction)
        self.metric = metric
        self.prices = {"client_flops": flops, "bytes_per_sample": bytes}

    def has_value(self, logs: Mapping[str, Any]) -> bool:
        """Whether the logs of an epoch have all that the value is computed from."""
        return not self._missing(logs)

    def get_value(self, logs: Mapping[str, Any]) -> float:
        """The value of one epoch.

        Raises:
            FatalValueError: Something that it is computed from is not in the logs.
        """
        missing = self._missing(logs)
        if missing:
            raise FatalValueError(
                f"{self} needs {', '.join(missing)} in the logs of `fit`. `val_` metrics need "
                "`validation_data`; the costs are there if a SplitHyperModel trains, but a cut where another "
                "dimension than the batch may vary has no bytes per sample. "
                f"Received: logs of {', '.join(sorted(logs))}."
            )
        cost = sum(price * logs[name] for name, price in self.prices.items() if price)
        return float(logs[self.metric] - cost if self.direction == "max" else logs[self.metric] + cost)

    def __str__(self) -> str:
        sign = "-" if self.direction == "max" else "+"
        costs = [f" {sign} {price:g} * {name}" for name, price in self.prices.items() if price]
        return f'Objective(name="{NAME}", direction="{self.direction}"): {self.metric}{"".join(costs)}'

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objective) and (
            (self.metric, self.direction, self.prices) == (other.metric, other.direction, other.prices)
        )

    def _missing(self, logs: Mapping[str, Any]) -> list[str]:
        needed = [self.metric, *(name for name, price in self.prices.items() if price)]
        return [name for name in needed if name not in logs]
