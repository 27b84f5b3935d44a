"""Steps that a class of the user's own puts around those of Keras.

In Keras they are methods of the model. Here the model has two halves, and only some of what a method may look
at is the same in both: so the methods run as those of an object that offers this and no more.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import keras

from keras_split.segment import draws_of_its_own

# What may be run: it works on what a step was given, and on what it gives.
RUNNABLE = ("train_step", "test_step", "predict_step", "compute_metrics", "reset_metrics")
_ADVICE = (
    "The steps of a class of your own run on the client. They may call `super()`, `self(x)` and "
    "`self.compute_loss` for evaluation, and use attributes and metrics of your own. What else they need of "
    "the model say in layers, in the loss, or in callbacks."
)


def own_steps(model: keras.Model, split: Any) -> dict[str, Callable[..., Any]]:
    """Methods of a model's class that a split model is to run in place of its own, by name.

    Args:
        model: As the user gave it.
        split: The split model.

    Raises:
        ValueError: A method that cannot be taken over.
    """
    kinds = [each for each in type(model).__mro__ if is_own(each)]
    kind: type = _Steps
    for each in reversed(kinds):
        kind = _moved(each, kind)
    steps: Any = object.__new__(kind)
    object.__setattr__(steps, "_given", model)
    object.__setattr__(steps, "_split", split)
    overridden = [name for name in RUNNABLE if any(name in vars(each) for each in kinds)]
    return {name: _watched(getattr(steps, name), model, split) for name in overridden}


def is_own(kind: type) -> bool:
    """Whether a class is neither Keras' nor Python's."""
    return kind.__module__.partition(".")[0] not in ("keras", "tensorflow", "builtins")


def _watched(method: Callable[..., Any], model: keras.Model, split: Any) -> Callable[..., Any]:
    @functools.wraps(method)
    def run(*args: Any, **options: Any) -> Any:
        with draws_of_its_own(split.head, (*model.variables, *split.variables)):
            return method(*args, **options)

    return run


@functools.cache
def _of_any_model() -> frozenset[str]:
    # With a name, since Keras would count it among the user's otherwise.
    return frozenset(vars(keras.Model(name="bare")))


class _Steps:
    """What `self` and `super()` are in such methods."""

    _given: keras.Model
    _split: Any

    def train_step(self, data: Any) -> Any:
        return type(self._split).train_step(self._split, data)

    def test_step(self, data: Any) -> Any:
        return type(self._split).test_step(self._split, data)

    def predict_step(self, data: Any) -> Any:
        return type(self._split).predict_step(self._split, data)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return type(self._split).compute_metrics(self._split, x, y, y_pred, sample_weight)

    def get_metrics_result(self) -> Any:
        return self._split.get_metrics_result()

    def reset_metrics(self) -> None:
        type(self._split).reset_metrics(self._split)

    @property
    def metrics(self) -> Any:
        return self._split.metrics

    @property
    def name(self) -> str:
        return str(self._given.name)

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        if training:
            raise ValueError(
                "A step of your own calls the model with `training=True`, and no gradient would reach the "
                f"server's half. Call `super().train_step(data)`. {_ADVICE} Received: training=True."
            )
        return self._split.evaluated(inputs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = False,
    ) -> Any:
        return self._split.evaluated_loss(x, y, y_pred, sample_weight)

    def __getattr__(self, name: str) -> Any:
        if name in vars(self._given) and name not in _of_any_model():
            return getattr(self._given, name)
        raise ValueError(
            f"A step of {type(self._given).__name__} uses `self.{name}`, which is another in a split model "
            f"than in the whole one. {_ADVICE} Received: self.{name}."
        )

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._given, name, value)


def _moved(kind: type, base: type) -> type:
    """A class with the methods of another, and with another base."""
    moved = type(kind.__name__, (base,), {"__doc__": kind.__doc__})
    for name, each in vars(kind).items():
        if not name.startswith("__"):
            setattr(moved, name, _of(each, kind, moved, name))
    return moved


def _of(value: Any, kind: type, moved: type, name: str) -> Any:
    """A member of a class as one of another: `super()` looks for a method's class in its closure."""
    if isinstance(value, property):
        return property(*(_of(each, kind, moved, name) for each in (value.fget, value.fset, value.fdel)))
    if isinstance(value, (staticmethod, classmethod)):
        return type(value)(_of(value.__func__, kind, moved, name))
    if not isinstance(value, types.FunctionType):
        if callable(value) and name in RUNNABLE:
            raise ValueError(
                f"`{name}` of {kind.__name__} is no plain function, and a split model cannot run it. Leave "
                f"its decorators out. Received: {name}={type(value).__name__}."
            )
        return value
    cells = tuple(types.CellType(moved) if _holds(each, kind) else each for each in value.__closure__ or ())
    found = types.FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
    found.__kwdefaults__ = value.__kwdefaults__
    return found


def _holds(cell: types.CellType, kind: type) -> bool:
    try:
        return cell.cell_contents is kind
    except ValueError:  # It is still empty.
        return False
