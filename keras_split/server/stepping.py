"""A step is applied whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_split.errors import NotFinite
from keras_split.segment import Segment, TracedStep

Answer = Callable[[list[np.ndarray]], None]


def compute(step: TracedStep, values: Sequence[np.ndarray], segment: Segment, answer: Answer) -> None:
    """Computes a step; whatever goes wrong before the answer leaves no trace.

    Args:
        step: The compiled step.
        values: Its inputs.
        segment: Whose step it is.
        answer: Gets the reply, before a trained variable changes.
    """
    answered: list[bool] = []

    def answer_once(reply: list[np.ndarray]) -> None:
        answered.append(True)
        answer(reply)

    moving = [each for each in segment.model.variables if not each.trainable]
    with _taken_back(moving, unless=lambda: bool(answered)):
        step(values, answer_once)


def compute_finite(step: TracedStep, values: Sequence[np.ndarray], segment: Segment, answer: Answer) -> None:
    """Computes a step, and answers only if it left finite numbers everywhere.

    The gradients themselves are not looked at: a graph that showed them would round in another way
    than the unsplit model's. A gradient that is not finite makes its variable so.

    Args:
        step: The compiled step.
        values: Its inputs.
        segment: Whose step it is.
        answer: Gets the reply.

    Raises:
        NotFinite: Nothing was applied.
    """
    replies: list[list[np.ndarray]] = []
    variables = segment.variables()
    with _taken_back(variables):
        step(values, replies.append)
        if not all(_is_finite(each) for each in (*replies[0], *variables)):
            raise NotFinite(
                "A gradient of this step is not finite (NaN or infinity), and the server refuses "
                "such steps (`--nan refuse`). Nothing was applied. Lower the learning rate, clip "
                "gradients, or look at the batch."
            )
    answer(replies[0])


@contextlib.contextmanager
def _taken_back(variables: Sequence[Any], unless: Callable[[], bool] = lambda: False) -> Iterator[None]:
    # Tensors share the variables' memory until these change, so that nothing is copied for nothing.
    before = [tf.convert_to_tensor(each) for each in variables]
    try:
        yield
    except BaseException:
        if not unless():
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
        raise


def _is_finite(values: Any) -> bool:
    tensor = tf.convert_to_tensor(values)
    return not tensor.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(tensor)))
