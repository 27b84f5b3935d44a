"""`fit` of a run without a run: a whole model, and an owner whose commits are kept in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_split.errors import ConnectionLost
from keras_split.model import SplitModel
from keras_split.model.batch_steps import passing
from keras_split.model.fitting import fit_in_turns
from keras_split.owners import Taken, Trained, Waiting
from keras_split.turns import Quota

ROWS, BATCH = 10, 2
BATCHES = ROWS // BATCH
_NOTHING = Trained()
_WAITING = Waiting("another", True, 1, 0.0, 0.0)


class Alone(keras.Sequential):
    """Trains as Keras does, with what a split model adds for runs.

    Args:
        fails: Executions of steps, counted from 0, in whose place the line breaks.
    """

    def __init__(self, fails: Iterable[int] = (), **compiled: Any):
        keras.utils.set_random_seed(1)
        super().__init__([keras.Input((3,)), keras.layers.Dense(1)])
        # Tracing would take longer than all the training.
        self.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", run_eagerly=True, **compiled)
        self.optimizer.build(self.trainable_variables)
        self.steps_to_pass, self.has_passed = 0, False
        meter = SimpleNamespace(sent=0, received=0)
        self._halves = SimpleNamespace(session=lambda: SimpleNamespace(meter=meter))
        self._fails, self._executions = set(fails), 0

    with_traffic = SplitModel.with_traffic

    def make_train_function(self, force: bool = False) -> None:
        super().make_train_function(force)
        self.train_function: Any = passing(self, self._breaking(self.train_function))

    def _breaking(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        if getattr(function, "_is_passing", False):
            return function

        def call(iterator: Any) -> Any:
            self._executions += 1
            if self._executions - 1 in self._fails:
                raise ConnectionLost("The line broke.")
            return function(iterator)

        return call


class Commits:
    """An `Ownership`, whose commits may not arrive.

    Args:
        model: The owner's.
        quota: Length of a turn.
        commit_every: As a server's.
        trained: By an earlier program.
        loses: Commits, counted from 0, that do not arrive.
        loses_replies: Commits that arrive, which the owner is not told.
    """

    def __init__(
        self,
        model: Alone,
        quota: str = "epoch",
        commit_every: int = 0,
        trained: Trained = _NOTHING,
        loses: Iterable[int] = (),
        loses_replies: Iterable[int] = (),
    ):
        self._model = model
        self._quota, self._commit_every = Quota.parse(quota), commit_every
        self._loses, self._loses_replies = set(loses), set(loses_replies)
        self._kept = [variable.numpy() for variable in self._variables()], trained
        self._turn, self._used = 0, 0.0
        self.owner = SimpleNamespace(leave=self._leave)
        self.asked: list[tuple[Trained, bool]] = []
        self.is_done: bool | None = None

    def take(self, tell: Callable[[Waiting], None]) -> Taken:
        tell(_WAITING)
        state, trained = self._kept
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)
        return Taken(self._turn, self._used, self._quota, self._commit_every, trained, {})

    def commit(self, turn: int, trained: Trained, *, ends: bool, used: float) -> None:
        at = len(self.asked)
        self.asked.append((trained, ends))
        if at in self._loses:
            raise ConnectionLost("The commit was lost.")
        self._kept = [variable.numpy() for variable in self._variables()], trained
        self._turn, self._used = (turn + 1, 0.0) if ends else (turn, used)
        if at in self._loses_replies:
            raise ConnectionLost("The reply was lost.")

    def _variables(self) -> list[Any]:
        return [*self._model.variables, *self._model.optimizer.variables]

    def _leave(self, *, is_done: bool) -> None:
        self.is_done = is_done


def data() -> tuple[np.ndarray, np.ndarray]:
    """Of one owner."""
    random = np.random.default_rng(2)
    return random.normal(size=(ROWS, 3)).astype("float32"), random.normal(size=(ROWS, 1)).astype("float32")


def batched(rows: int = ROWS) -> tf.data.Dataset:
    """So many of them, in order."""
    return tf.data.Dataset.from_tensor_slices(tuple(each[:rows] for each in data())).batch(BATCH)


def fit(model: Alone, commits: Commits, callbacks: Any = None, **given: Any) -> Any:
    """Trains in turns."""
    plain = keras.Sequential.fit.__get__(model)
    return fit_in_turns(model, commits, plain, {**IN_ORDER, "x": batched(), **given}, callbacks)


# Arguments of `fit`.
IN_ORDER: dict[str, Any] = {"shuffle": False, "verbose": 0}
