"""Trains a model twice, whole and split, from the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

import keras_split
from support.equality import assert_equal_training

SEED = 11


@dataclass(frozen=True)
class Pair:
    """The same model twice.

    Args:
        whole: As it was built.
        split: Cut in two, with the private server of this process.
    """

    whole: keras.Model
    split: keras_split.SplitModel

    def compile(self, settings: Callable[[], dict[str, Any]]) -> Pair:
        """Compiles both; each gets optimizer and losses of its own."""
        self.whole.compile(**settings())
        self.split.compile(**settings())
        return self

    def both(self, work: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Does something with each, from the same seeds."""
        keras.utils.set_random_seed(SEED)
        ours = work(self.whole)
        keras.utils.set_random_seed(SEED)
        return ours, work(self.split)


@contextmanager
def paired_models(
    build: Callable[[], keras.Model], cut: str | list[str], second_cut: str | list[str] | None = None
) -> Iterator[Pair]:
    """Builds a model twice from the same seeds and splits the second; ends the connection."""
    keras.utils.set_random_seed(SEED)
    whole = build()
    keras.utils.set_random_seed(SEED)
    split = keras_split.SplitModel(build(), cut, second_cut)
    try:
        yield Pair(whole, split)
    finally:
        split.close()


def assert_trains_as_whole(
    build: Callable[[], keras.Model],
    cut: str | list[str],
    settings: Callable[[], dict[str, Any]],
    train: Callable[[Any], Any],
    second_cut: str | list[str] | None = None,
) -> Any:
    """Trains whole and split, and passes if nothing differs.

    Args:
        build: Makes the model; layers with weights must have names of their own.
        cut: For the split one.
        settings: Makes the arguments of `compile`.
        train: Is given the compiled model; what it returns is compared as well.

    Returns:
        What `train` returned for the whole model.
    """
    with paired_models(build, cut, second_cut) as pair:
        ours, theirs = pair.compile(settings).both(train)
        assert_equal_training(pair.whole, pair.split, ours, theirs)
    return ours
