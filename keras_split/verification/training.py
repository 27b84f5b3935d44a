"""One training of the two that are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_split.verification.recorder import Recorder

_ONLY_SPLIT = ("bytes_sent", "bytes_received")

Values = dict[str, Any]


def seeded(build: Callable[[], keras.Model], seed: int) -> keras.Model:
    """The user's model, with its optimizer's variables.

    Raises:
        ValueError: It is not compiled.
    """
    keras.utils.set_random_seed(seed)
    model = build()
    if not model.compiled:
        raise ValueError("`build` must return a compiled model, since both sides train it.")
    model.optimizer.build(model.trainable_variables)
    return model


def fit_from(model: keras.Model, arguments: Values, seed: int, recorder: Recorder) -> Values:
    """Trains, with a seed for what `fit` shuffles; returns the values of History."""
    keras.utils.set_random_seed(seed)
    callbacks = [*keras.tree.flatten(arguments.get("callbacks") or []), recorder]
    history: Values = model.fit(**{**arguments, "callbacks": callbacks}).history
    return history


def differing(
    whole: Sequence[Values], split: Sequence[Values], outputs: Mapping[str, str]
) -> tuple[str, ...]:
    """Names in Histories whose values differ.

    Args:
        whole: Of the whole model.
        split: Of the split one.
        outputs: Names of its outputs to those of the whole model's: Keras may have counted on between them.
    """
    ours = [{_as_whole(name, outputs): each for name, each in values.items()} for values in split]
    names = dict.fromkeys(name for values in (*whole, *ours) for name in values if name not in _ONLY_SPLIT)
    pairs = list(zip(whole, ours, strict=True))
    return tuple(name for name in names if any(one.get(name) != other.get(name) for one, other in pairs))


def _as_whole(name: str, outputs: Mapping[str, str]) -> str:
    """A metric's name in the whole model; with several outputs, it begins with the name of one."""
    validation = "val_" if name.startswith("val_") else ""
    metric = name.removeprefix("val_")
    for own in sorted(outputs, key=len, reverse=True):
        if metric.startswith(f"{own}_"):
            return f"{validation}{outputs[own]}{metric.removeprefix(own)}"
    return name
