"""Floating-point operations of layers, as TensorFlow's profiler counts them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
from keras import tree


def flops_per_operation(operations: Sequence[Any], known: dict[int, int]) -> int:
    """Operations of one forward pass for one sample, all given layers together.

    Dimensions that may vary count as 1, and the steps of a recurrent layer as one step: the profiler
    does not look into loops.

    Args:
        operations: Built layers or Keras operations.
        known: Counts by `id(operation)`, filled in here so that no layer is traced twice.
    """
    for operation in operations:
        if id(operation) not in known:
            known[id(operation)] = sum(_count(node) for node in operation._inbound_nodes[:1])
    return sum(known[id(operation)] for operation in operations)


def _count(node: Any) -> int:
    specs = [tf.TensorSpec([size or 1 for size in each.shape], each.dtype) for each in _inputs(node)]
    places = {id(tensor): at for at, tensor in enumerate(_inputs(node))}

    def call(*values: Any) -> Any:
        args, kwargs = tree.map_structure(
            lambda each: values[places[id(each)]] if id(each) in places else each,
            (node.arguments.args, node.arguments.kwargs),
        )
        return tree.flatten(node.operation(*args, **kwargs))

    return _profile(tf.function(call, autograph=False).get_concrete_function(*specs).graph)


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
