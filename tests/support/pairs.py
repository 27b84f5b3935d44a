"""Trains a model twice, whole and split, from the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras

import keras_split
from keras_split.segment.ahead import build_metrics
from support.equality import assert_equal_training
from support.models import Case

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
        trace_once(self.whole)
        self.split.compile(**settings())
        return self

    def both(self, work: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Does something with each, from the same seeds."""
        return _seeded(work, self.whole), _seeded(work, self.split)


@contextmanager
def paired_models(
    build: Callable[[], keras.Model], cut: str | list[str], second_cut: str | list[str] | None = None
) -> Iterator[Pair]:
    """Builds a model twice from the same seeds and splits the second; ends the connection."""
    keras.utils.set_random_seed(SEED)
    whole = build()
    with _split(build, cut, second_cut) as split:
        yield Pair(whole, split)


@contextmanager
def _split(
    build: Callable[[], keras.Model], cut: str | list[str], second_cut: str | list[str] | None
) -> Iterator[keras_split.SplitModel]:
    keras.utils.set_random_seed(SEED)
    split = keras_split.SplitModel(build(), cut, second_cut)
    try:
        yield split
    finally:
        split.close()


def trace_once(model: keras.Model) -> None:
    """Has a compiled whole model make variables before its first step, which takes half as long then."""
    model.optimizer.build(model.trainable_variables)
    compute = model.compute_metrics

    def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        build_metrics(model, y, y_pred)
        return compute(x, y, y_pred, sample_weight)

    model.compute_metrics = compute_metrics


class TrainedWhole:
    """A whole model, trained once, for any number of split ones to be compared with.

    Args:
        build: Makes the model; layers with weights must have names of their own.
        settings: Makes the arguments of `compile`.
        train: Is given the compiled model; what it returns is compared as well.
    """

    def __init__(
        self,
        build: Callable[[], keras.Model],
        settings: Callable[[], dict[str, Any]],
        train: Callable[[Any], Any],
    ):
        self._build, self._settings, self._train = build, settings, train
        keras.utils.set_random_seed(SEED)
        self.model = build()
        self.model.compile(**settings())
        trace_once(self.model)
        self.result = _seeded(train, self.model)

    @contextmanager
    def equals_split(
        self, cut: str | list[str], second_cut: str | list[str] | None = None
    ) -> Iterator[tuple[keras_split.SplitModel, Any]]:
        """Trains the model split; yields it with what `train` returned if nothing differs."""
        try:
            with _split(self._build, cut, second_cut) as split:
                split.compile(**self._settings())
                result = _seeded(self._train, split)
                assert_equal_training(self.model, split, self.result, result)
                yield split, result
        except Exception as error:
            error.add_note(f"Split with cut={cut!r}, second_cut={second_cut!r}.")
            raise


def assert_trains_as_whole(
    build: Callable[[], keras.Model],
    cut: str | list[str],
    settings: Callable[[], dict[str, Any]],
    train: Callable[[Any], Any],
    *second_cuts: str | list[str] | None,
) -> Any:
    """Trains whole once, and split with each second cut, and passes if nothing differs.

    Args:
        build: Makes the model; layers with weights must have names of their own.
        cut: For the split ones.
        settings: Makes the arguments of `compile`.
        train: Is given the compiled model; what it returns is compared as well.
        second_cuts: With None, labels are shared, as they are if nothing is given.

    Returns:
        What `train` returned for the whole model.
    """
    whole = TrainedWhole(build, settings, train)
    for second_cut in second_cuts or (None,):
        with whole.equals_split(cut, second_cut):
            pass
    return whole.result


class Twins:
    """A whole model and split ones that go on side by side from one training to the next, traced once.

    They are alike after each, so that the next one may begin where any other has ended.

    Args:
        case: Model, cut and data; trained by Adam.
        second_cuts: One for each split model; with None it shares labels.
    """

    def __init__(self, case: Case, *second_cuts: str | list[str] | None):
        self._case, self._second_cuts = case, second_cuts
        self._opened = ExitStack()
        self._models: list[Any] = []

    def assert_alike(self, train: Callable[[Any], Any]) -> Any:
        """Trains all, and passes if nothing differs; returns what `train` returned for the whole model."""
        try:
            whole, *splits = self._models or self._make()
            expected = _seeded(train, whole)
            for split in splits:
                assert_equal_training(whole, split, expected, _seeded(train, split))
        except BaseException:
            self.close()  # What differs now would differ in all tests that follow.
            raise
        return expected

    def close(self) -> None:
        """Ends the connections; whoever trains next begins anew."""
        self._models.clear()
        self._opened.close()

    def _make(self) -> list[Any]:
        keras.utils.set_random_seed(SEED)
        self._models.append(self._case.build())
        for second_cut in self._second_cuts:
            split = _split(self._case.build, self._case.cut, second_cut)
            self._models.append(self._opened.enter_context(split))
        for model in self._models:
            model.compile(**self._case.settings()())
        trace_once(self._models[0])
        return self._models


def _seeded(work: Callable[[Any], Any], model: Any) -> Any:
    keras.utils.set_random_seed(SEED)
    return work(model)


def assert_case_trains_as_whole(case: Case, train: Callable[[Any], Any] | None = None) -> Any:
    """Likewise with Adam in each of a case's modes; unless told otherwise, it is trained and used."""
    return assert_trains_as_whole(
        case.build, case.cut, case.settings(), train or case.fit_and_use, *case.modes
    )
