"""A step is applied whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_split.errors import NotFinite
from keras_split.segment import Caller, Segment, TracedStep


def compute(step: TracedStep, values: Sequence[np.ndarray], segment: Segment, caller: Caller) -> None:
    """Computes a step; whatever goes wrong before the answer leaves no trace.

    Args:
        step: The compiled step.
        values: Its inputs.
        segment: Whose step it is.
        caller: Gets the reply; on one device, before a trained variable changes.
    """
    once = _Listening(caller)
    moving = segment.variables()
    if segment.answers_early:
        # The update comes after the answer, so that only the forward pass can have changed something.
        moving = segment.volatile()
    with _taken_back(moving, unless=lambda: bool(once.replies)), once.failures():
        step(values, once)


def compute_finite(step: TracedStep, values: Sequence[np.ndarray], segment: Segment, caller: Caller) -> None:
    """Computes a step, and answers only if it left finite numbers everywhere.

    The gradients themselves are not looked at: a graph that showed them would round in another way
    than the unsplit model's. A gradient that is not finite makes its variable so.

    Args:
        step: The compiled step.
        values: Its inputs.
        segment: Whose step it is.
        caller: Gets the reply.

    Raises:
        NotFinite: Nothing was applied.
    """
    held = _Listening(caller, passes_on=False)
    variables = segment.variables()
    with _taken_back(variables), held.failures():
        step(values, held)
        if not all(_is_finite(each) for each in (*held.replies[0], *variables)):
            raise NotFinite(
                "A gradient of this step is not finite (NaN or infinity), and the server refuses "
                "such steps (`--nan refuse`). Nothing was applied. Lower the learning rate, clip "
                "gradients, or look at the batch."
            )
    caller.answer(held.replies[0])


class _Listening:
    """Passes on what a step says, and remembers its reply.

    Args:
        caller: To whom.
        passes_on: Whether the reply is passed on as well.
    """

    def __init__(self, caller: Caller, *, passes_on: bool = True):
        self.replies: list[list[np.ndarray]] = []
        self._caller = caller
        self._passes_on = passes_on
        self._failure: BaseException | None = None

    def answer(self, reply: list[np.ndarray]) -> None:
        self.replies.append(reply)
        if self._passes_on:
            self._caller.answer(reply)

    def ask(self, question: str, tensors: list[np.ndarray]) -> list[np.ndarray]:
        try:
            return self._caller.ask(question, tensors)
        except BaseException as error:
            self._failure = error
            raise

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """TensorFlow turns an exception inside a graph into one of its own; here is the real one."""
        try:
            yield
        except tf.errors.OpError:
            if self._failure is None:
                raise
            raise self._failure from None


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
