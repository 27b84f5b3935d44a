"""Forward, backward and update of a model or a head, each timed by itself.

Three compiled functions, each with one part more than the one before; the parts are the
differences.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree

from benchmarks.comparisons import Comparison

_SECONDS = 1.0
_MOST, _LEAST = 60, 5


def whole(model: Any, x: np.ndarray, y: np.ndarray, comparison: Comparison) -> dict[str, float]:
    """Of a model with its loss; seconds."""
    images, labels = tf.constant(x[: comparison.batch]), tf.constant(y[: comparison.batch])

    def forward() -> list[Any]:
        return [model.compute_loss(images, labels, model(images, training=True), training=True)]

    return _timed(forward, model.trainable_variables, model.optimizer)


def head(split: Any, x: np.ndarray, comparison: Comparison) -> dict[str, float]:
    """Of a split model's head; seconds."""
    images = tf.constant(x[: comparison.batch])
    variables = split.head.trainable_variables
    return _timed(lambda: tree.flatten(split.head(images, training=True)), variables, split.optimizer)


def _timed(forward: Callable[[], list[Any]], variables: Sequence[Any], optimizer: Any) -> dict[str, float]:
    upstream = [tf.random.normal(tf.shape(each), stddev=1e-3) for each in forward()]

    def gradients() -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            outputs = forward()
        return outputs, tape.gradient(outputs, variables, output_gradients=upstream)

    def update() -> Any:
        outputs, found = gradients()
        optimizer.apply_gradients(zip(found, variables, strict=True))
        return outputs

    one, two, three = _medians([tf.function(each) for each in (forward, gradients, update)])
    return {"forward": one, "backward": two - one, "update": three - two}


def _medians(functions: Sequence[Callable[[], Any]]) -> list[float]:
    """Seconds of each, taken in turns, so that a slow second hurts all of them."""
    for function in functions:
        function()
    rounds: list[list[float]] = []
    give_up = time.perf_counter() + _SECONDS
    while len(rounds) < _LEAST or (time.perf_counter() < give_up and len(rounds) < _MOST):
        rounds.append([_seconds(function) for function in functions])
    return [float(each) for each in np.median(rounds, axis=0)]


def _seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
