"""Digests of a training's variables, with the number of updates to which they belong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_split.verification.digests import Digests, Key
from keras_split.verification.report import Difference

Moment = tuple[int, Digests]


class Recorder(keras.callbacks.Callback):
    """Takes digests before the first and after every step (or execution of several) of each `fit`.

    Args:
        digests: Computes them.
    """

    def __init__(self, digests: Callable[[], Digests]):
        super().__init__()
        self.moments: list[Moment] = []
        self.steps = 0
        self._digests = digests

    def take(self, digests: Callable[[], Digests] | None = None) -> None:
        """Takes them now, or those of something else."""
        self.moments.append((self.steps, (digests or self._digests)()))

    def on_train_begin(self, logs: Any = None) -> None:
        """Before the first step."""
        del logs
        self.take()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After each."""
        del batch, logs
        self.steps += 1
        self.take()


def first_difference(
    expected: list[Moment], found: list[Moment], shown: Mapping[Key, str]
) -> Difference | None:
    """The first digest that two trainings do not have in common, under the name that people know."""
    for (step, wanted), (_, got) in zip(expected, found, strict=True):
        for key in wanted:
            if got.get(key) != wanted[key]:
                return Difference(variable=shown[key], side=key[0], step=step)
    return None
