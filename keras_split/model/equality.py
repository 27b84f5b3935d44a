"""Refuses a model that would not be trained split as whole, before its first step."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from keras_split.errors import NotExact
from keras_split.exactness import Subject, first_difference
from keras_split.partition import partition
from keras_split.segment import Settings, is_rewriting, leave_undecayed

_DOES = {"train": "trained", "test": "evaluated", "predict": "asked for predictions"}


class Equality:
    """Compares the parts of a split model with the whole one, once for each kind and shape of batch.

    Args:
        split: With its whole model in this process, and compiled.
    """

    def __init__(self, split: Any):
        self._split = split
        self._equal: set[tuple[str, str]] = set()

    def checked(self, kind: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """What Keras calls for a step, with a comparison before the first one.

        Args:
            kind: `"train"`, `"test"` or `"predict"`.
            function: Of Keras; takes an iterator, or to predict a batch.
        """
        if getattr(function, "_is_checked", False):
            return function

        @functools.wraps(function)
        def call(batches: Any) -> Any:
            spec, batches = _spec(batches, self._split.steps_per_execution, listed=kind == "predict")
            self._check(kind, spec)
            return function(batches)

        call._is_checked = True  # type: ignore[attr-defined]
        return call

    def forget(self) -> None:
        """After a change of what is compiled."""
        self._equal.clear()

    def _check(self, kind: str, spec: Any) -> None:
        split = self._split
        if split.run_eagerly or not is_rewriting() or not split._is_comparable:
            return
        key = kind, str(spec)
        if key in self._equal:
            return
        policy = keras.config.dtype_policy()

        def compare() -> str | None:
            keras.config.set_dtype_policy(policy)
            with warnings.catch_warnings():
                # What Keras has to say about the model, it says to whoever trains.
                warnings.simplefilter("ignore")
                return first_difference(_subject(split, kind), kind, spec)

        # In a thread of its own, which has its own counters of names, and no graph that is being traced.
        with ThreadPoolExecutor(1) as thread:
            difference = thread.submit(compare).result()
        if difference is not None:
            raise NotExact(
                f"{_DOES[kind].capitalize()} split at this cut, the model would differ from the whole one in the "
                f"last bits: TensorFlow rewrites operations across the cut, first seen in {difference}. Cut "
                "elsewhere (`keras_split.list_cuts`), or have graphs run as they are written, on both sides "
                'and in whole models that you compare with: `SplitModel(model, cut, exact="strict")`. '
                f"Received: cut={split._halves.topology['cut']}, "
                f"second_cut={split._halves.topology['second_cut']}."
            )
        self._equal.add(key)


def _spec(batches: Any, steps: int, *, listed: bool) -> tuple[Any, Any]:
    """What is known of a batch before it is there, and the batches themselves."""
    if isinstance(batches, tf.data.Iterator):
        return batches._type_spec, batches
    if not listed:
        # Of `train_on_batch`.
        batches = list(itertools.islice(batches, steps))
    return tree.map_structure(tf.type_spec_from_value, batches[0]), batches if listed else iter(batches)


def _subject(split: Any, kind: str) -> Subject:
    given = split._halves.compiled_with
    whole = split._halves.parts.whole
    topology = split._halves.topology
    parts = partition(whole, topology["cut"], topology["second_cut"] or None)
    undecayed = split._halves.undecayed(split.optimizer, split._undecayed)

    def optimizer() -> Any:
        return type(split.optimizer).from_config(split.optimizer.get_config())

    def compile_as(model: keras.Model) -> None:
        anew = optimizer()
        leave_undecayed(anew, dict(enumerate(whole.weights)), undecayed)
        options = {**tree.map_structure(fresh, given), "auto_scale_loss": False, "jit_compile": False}
        model.compile(anew, **options)

    def settings() -> Settings:
        return Settings(optimizer(), split.loss, split._loss_weights, undecayed)

    return Subject(
        parts,
        compile_as,
        settings,
        split.optimizer,
        lambda: split.metrics_variables,
        functools.partial(getattr(type(split), f"{kind}_step"), split),
        split._bridge.asking,
    )


def fresh(each: Any) -> Any:
    """A metric that has counted nothing; all else as it is."""
    return type(each).from_config(each.get_config()) if isinstance(each, keras.metrics.Metric) else each
