"""A model as Keras would train it if it were not split, in the same layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_split.partition import call_in_order, calls_of
from keras_split.segment import build_metrics


def whole_twin(model: keras.Model, compile_as: Callable[[keras.Model], None]) -> keras.Model:
    """A model of the same layers, compiled; the given one stays as it is.

    Args:
        model: Functional or Sequential.
        compile_as: Compiles it.
    """
    given = getattr(model, "_functional", None) or model
    twin = keras.Model(given._inputs_struct, given._outputs_struct, name=model.name)
    call_in_order(twin, calls_of(given))
    twin.output_names = list(given.output_names)
    compile_as(twin)
    twin.optimizer.build(twin.trainable_variables)

    def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        build_metrics(twin, y, y_pred)
        return keras.Model.compute_metrics(twin, x, y, y_pred, sample_weight)

    twin.compute_metrics = compute_metrics
    return twin
