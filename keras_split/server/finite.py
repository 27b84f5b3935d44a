"""Steps that leave NaN or infinity behind are taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_split.errors import NotFinite
from keras_split.segment import TracedStep


def compute_finite(
    step: TracedStep,
    values: Sequence[np.ndarray],
    variables: Sequence[Any],
    answer: Callable[[list[np.ndarray]], None],
) -> None:
    """Computes a step, and answers only if it left finite numbers everywhere.

    The gradients themselves are not looked at: a graph that showed them would round in another way
    than the unsplit model's. A gradient that is not finite makes its variable so.

    Args:
        step: The compiled step.
        values: Its inputs.
        variables: All that the step may change.
        answer: Gets the reply.

    Raises:
        NotFinite: Nothing was applied.
    """
    before = [np.array(variable) for variable in variables]
    replies: list[list[np.ndarray]] = []
    step(values, replies.append)
    if not all(_is_finite(each) for each in (*replies[0], *variables)):
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        raise NotFinite(
            "A gradient of this step is not finite (NaN or infinity), and the server refuses such "
            "steps (`--nan refuse`). Nothing was applied. Lower the learning rate, clip gradients, or "
            "look at the batch."
        )
    answer(replies[0])


def _is_finite(values: Any) -> bool:
    tensor = tf.convert_to_tensor(values)
    return not tensor.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(tensor)))
