"""Floating-point operations of layers, as TensorFlow's profiler counts them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree


class Flops:
    """Counts operations of one forward pass for one sample.

    Dimensions that may vary count as 1, and the steps of a recurrent layer as one step: the profiler
    does not look into loops.

    Args:
        model: Built functional or Sequential model; its batches may have a fixed size.
    """

    def __init__(self, model: keras.Model):
        self._rows = next((tensor.shape[0] for tensor in model.inputs if tensor.shape[0]), 1)
        self._known: dict[int, int] = {}

    def of(self, operations: Sequence[Any]) -> int:
        """Of built layers or Keras operations, all together; none is traced twice."""
        for operation in operations:
            if id(operation) not in self._known:
                counts = (_count(node, self._rows) for node in operation._inbound_nodes[:1])
                self._known[id(operation)] = sum(counts) // self._rows
        return sum(self._known[id(operation)] for operation in operations)


def _count(node: Any, rows: int) -> int:
    specs = [tf.TensorSpec(_sizes(each.shape, rows), each.dtype) for each in _inputs(node)]
    places = {id(tensor): at for at, tensor in enumerate(_inputs(node))}

    def call(*values: Any) -> Any:
        args, kwargs = tree.map_structure(
            lambda each: values[places[id(each)]] if id(each) in places else each,
            (node.arguments.args, node.arguments.kwargs),
        )
        return tree.flatten(node.operation(*args, **kwargs))

    return _profile(tf.function(call, autograph=False).get_concrete_function(*specs).graph)


def _sizes(shape: Sequence[int | None], rows: int) -> list[int]:
    return [size or (rows if at == 0 else 1) for at, size in enumerate(shape)]


def _inputs(node: Any) -> list[Any]:
    return list({id(tensor): tensor for tensor in node.input_tensors}.values())


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """The profiler calls a deprecated function of its own, and TensorFlow tells the user so."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _profile(graph: Any) -> int:
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    with _without_notices():
        profile = tf.compat.v1.profiler.profile(graph, cmd="scope", options=options)
    return int(profile.total_float_ops) if profile is not None else 0
