"""Gives back the memory of a part that nobody will run again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf


def release(variables: Iterable[Any]) -> None:
    """Leaves the variables without values, and useless.

    Each graph in which an optimizer is applied stays in a registry of TensorFlow's until the process
    ends, and with it the variables that it captured. What they hold need not stay.
    """
    for variable in variables:
        handle, dtype = variable.value.handle, variable.value.dtype
        tf.raw_ops.AssignVariableOp(resource=handle, value=tf.zeros([0], dtype), validate_shape=False)
