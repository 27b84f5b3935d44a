"""Refuses a model that would not be trained split as whole, before its first step."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from keras_split.errors import NotExact
from keras_split.exactness import Subject, first_difference
from keras_split.partition import partition
from keras_split.segment import Settings, is_rewriting, leave_undecayed, looks_at_all

_log = logging.getLogger(__name__)
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
            failure = self._failure(kind, spec)
            result = function(batches)
            if failure is not None:
                self._equal.add((kind, str(spec)))
                _log.warning(
                    "Whether the model is %s split as whole could not be compared (%s). `keras_split.verify` "
                    "compares it on data.",
                    _DOES[kind],
                    type(failure).__name__,
                )
            return result

        call._is_checked = True  # type: ignore[attr-defined]
        return call

    def forget(self) -> None:
        """After a change of what is compiled."""
        self._equal.clear()

    def _failure(self, kind: str, spec: Any) -> Exception | None:
        """What kept a comparison from being made; mostly the step itself will say it, in the usual words."""
        try:
            self.check(kind, spec)
        except NotExact:
            raise
        except Exception as error:
            return error
        return None

    def check(self, kind: str, spec: Any, *, adapts: bool = True) -> None:
        """Compares, unless that is done.

        Args:
            kind: As of `checked`.
            spec: Of a batch, or of an iterator over batches.
            adapts: Whether the client's graph may be made otherwise to be equal; another process's will not.

        Raises:
            NotExact: They differ.
        """
        split = self._split
        if split.run_eagerly or not is_rewriting() or not split._is_comparable:
            return
        key = kind, str(spec)
        if key in self._equal:
            return
        # What cannot be trained at all is said as always.
        split._halves.follow(split, trains=kind == "train")
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
            if difference is not None and kind != "train" and adapts:
                # The whole model may join an activation with what follows it in place of what it follows.
                split._bridge.unfused.add(kind)
                difference = thread.submit(compare).result()
        if difference is not None:
            split._bridge.unfused.discard(kind)
            raise NotExact(
                f"{_DOES[kind].capitalize()} split at this cut, the model would differ from the whole one in "
                "the last bits: TensorFlow joins operations on both sides of the cut into others, first seen "
                f"in {difference}. Cut elsewhere, for instance behind an activation or in front of a Dense "
                "or convolutional layer; or have both sides run graphs as they are written: "
                '`SplitModel(model, cut, exact="strict")`, which holds for whole models in this process as '
                "well, and at a server `keras-split serve --exact strict`. Received: "
                f"cut={split._halves.topology['cut']}, second_cut={split._halves.topology['second_cut']}."
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
    own: Any = split.optimizer if split.compiled else None
    # One that looks at all gradients is asked for what it measures by the other side, and has another
    # expression. What it gets is compared with a plain one.
    plain = own is None or looks_at_all(own)
    undecayed = [] if plain else split._halves.undecayed(own, split._undecayed)

    def optimizer() -> Any:
        return keras.optimizers.SGD(0.1, 0.9) if plain else type(own).from_config(own.get_config())

    def compile_as(model: keras.Model) -> None:
        anew = optimizer()
        leave_undecayed(anew, dict(enumerate(whole.weights)), undecayed)
        options = tree.map_structure(fresh, given or {})
        model.compile(anew, **{**options, "auto_scale_loss": False, "jit_compile": False})

    def settings() -> Settings:
        return Settings(optimizer(), given and split.loss, split._loss_weights, undecayed)

    used: Any = optimizer() if plain else own

    @contextlib.contextmanager
    def asking(partner: Any) -> Iterator[None]:
        if plain:
            used.build(split._trained())
        # Not by an assignment, of which Keras would take notice. The server need not follow.
        vars(split)["optimizer"] = used
        vars(split._halves)["follow"] = lambda *_, **__: None
        try:
            with split._bridge.asking(partner):
                yield
        finally:
            vars(split)["optimizer"] = own
            del vars(split._halves)["follow"]
            if own is None:
                del vars(split)["optimizer"]

    return Subject(
        parts,
        compile_as,
        settings,
        used,
        lambda: split.metrics_variables,
        functools.partial(getattr(type(split), f"{kind}_step"), split),
        asking,
    )


def fresh(each: Any) -> Any:
    """A metric that has counted nothing; all else as it is."""
    return type(each).from_config(each.get_config()) if isinstance(each, keras.metrics.Metric) else each
