"""Variables that have a shape and no memory, for graphs that are traced and never run."""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

# What is smaller is made as it is: an optimizer may look at its counters.
_SMALL = 64


def hollow() -> contextlib.AbstractContextManager[Any]:
    """Within, large variables are made without memory."""
    return tf.variable_creator_scope(_create)


def _create(create: Any, **options: Any) -> Any:
    value = options["initial_value"]
    shape = options.get("shape")
    if shape is None and callable(value):
        # In a graph, where nothing is computed.
        with tf.Graph().as_default():
            shape = tf.convert_to_tensor(value()).shape
    elif shape is None:
        shape = tf.convert_to_tensor(value).shape
    if not shape.is_fully_defined() or shape.num_elements() < _SMALL:
        return create(**options)
    kept = ("trainable", "name", "dtype", "synchronization", "aggregation")
    return UninitializedVariable(shape=shape, **{name: options.get(name) for name in kept})
