"""Variables made ahead of the graph that uses them."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def build_metrics(model: keras.Model, y: Any, y_pred: Any) -> None:
    """Makes the variables of a compiled model's metrics, also from within a graph.

    Keras makes them in the midst of the first step, and TensorFlow traces once more what has made variables:
    every first step would take twice as long.

    Args:
        model: Compiled.
        y: Labels of any batch, possibly symbolic.
        y_pred: What the model makes of it.
    """
    metrics = model._compile_metrics
    if metrics is None or metrics.built:
        return
    # A graph of its own, since the one that is being traced would take the variables for its own.
    with tf.Graph().as_default(), tf.__internal__.eager_context.eager_mode():
        metrics.build(y, y_pred)
