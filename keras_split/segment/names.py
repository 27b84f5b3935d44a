"""Operations of a part have the names that they have in the whole model.

TensorFlow's optimizer of graphs sorts the addends of a sum by the names of the operations that made them, so that
a sum of three and more depends on names.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import tensorflow as tf


def named_as(whole: str, part: keras.Model) -> keras.Model:
    """Has a part's operations named as those of the model that it is a part of; returns the part.

    Args:
        whole: Name of that model.
        part: Whose layers it shares, or has been given.
    """
    # Keras opens each scope twice in a call, first to build, and TensorFlow counts.
    part._open_name_scope = partial(tf.name_scope, f"{whole}_1/")
    return part


def name_of(tensor: Any) -> str:
    """The operation that made a tensor; none outside of a graph."""
    return str(tensor.op.name) if tf.inside_function() else ""


def named(tensor: Any, name: str) -> Any:
    """The same tensor, made by an operation of a name."""
    if not name or not tf.inside_function():
        return tensor
    with tf.name_scope(""):
        return tf.raw_ops.Snapshot(input=tensor, name=name)
