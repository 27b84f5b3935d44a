"""How fast a machine computes a given model."""

from __future__ import annotations

import statistics
import time
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from keras_split.partition.costs import Flops
from keras_split.partition.graph import Graph
from keras_split.planning.sizes import check_sizes


def measure_gflops(model: keras.Model, batch_size: int = 32, runs: int = 20) -> float:
    """Times forward passes of a model on this machine.

    A product of two large matrices would show more than most models ever reach, so it is the model itself
    that is timed, with the threads and devices that TensorFlow uses in this process.

    Args:
        model: Built functional or Sequential model, inputs of one size; for a client's machine a head
            will do.
        batch_size: Samples in a pass.
        runs: Timed passes; their median counts. Two more before them warm up.

    Returns:
        10^9 operations per second, as `plan` takes them.

    Raises:
        ValueError: Inputs that may vary in size, nothing to time, or no operations that the profiler finds.
    """
    if batch_size < 1 or runs < 1:
        raise ValueError(
            "A measurement takes at least one sample and one pass. "
            f"Received: batch_size={batch_size!r}, runs={runs!r}."
        )
    check_sizes(model, batch_size)
    graph = Graph(model)
    operations = list({id(node.operation): node.operation for node in graph.nodes}.values())
    flops = batch_size * Flops(model).of(operations)
    if not flops:
        raise ValueError(
            f"The profiler counts no floating-point operations in {model.name!r}, so its passes say nothing "
            "about GFLOP/s. Measure a model with dense or convolutional layers."
        )
    inputs = tree.map_structure(lambda tensor: _ones(tensor, batch_size), graph.inputs)
    return flops / _median_seconds(model, inputs, runs) / 1e9


def _median_seconds(model: keras.Model, inputs: Any, runs: int) -> float:
    forward = tf.function(lambda x: model(x, training=False), autograph=False)
    seconds = []
    for _ in range(2 + runs):
        start = time.perf_counter()
        # Reading the result waits for devices that compute on their own.
        tree.map_structure(lambda tensor: tensor.numpy(), forward(inputs))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])


def _ones(tensor: Any, batch_size: int) -> tf.Tensor:
    return tf.ones([batch_size, *tuple(tensor.shape)[1:]], tensor.dtype)
