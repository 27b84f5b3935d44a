"""Whether clients of a server train what the whole model is; asked before they take a step."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import keras
import tensorflow as tf
from keras import tree

from keras_split.errors import NotExact
from keras_split.model import SplitModel
from keras_split.segment import Signature

_log = logging.getLogger(__name__)


class ServedEquality:
    """Compares what clients of a served model train with the whole of it.

    Args:
        model: Compiled.
        cut: Names of the cut's layers.
        second_cut: Those behind which the client's part begins again; empty to share labels.

    Raises:
        NotExact: Clients whose labels are as the losses have them mostly would not train, evaluate or predict
            what the whole model does, to the last bit; the text says what to do.
    """

    def __init__(self, model: keras.Model, cut: Sequence[str], second_cut: Sequence[str]):
        self._model = model
        self._split: Any = None
        with _told(_log.info):
            self._split = SplitModel(model, list(cut), list(second_cut) or None, server=_Nobody())
            self._split.compile_from_config({**model.get_compile_config(), "jit_compile": "auto"})
            usual = _labels(model)
            for kind in ("train", "test", "predict"):
                self._compare(kind, None, usual, None)

    def check(self, kind: str, signature: Signature) -> None:
        """Compares for the very labels that a client will send; where it sends none, the start has told.

        Args:
            kind: `"train"`, `"test"` or `"predict"`.
            signature: Of the exchange.

        Raises:
            NotExact: The client would train another model.
        """
        specs = tuple(tf.TensorSpec(each.shape, each.dtype) for each in signature.inputs)
        labels, weights = signature.targets(specs)
        if self._split is None or kind != "train" or labels is None:
            return
        with _told(_log.warning):
            rows = specs[0].shape[:1].as_list()
            self._compare(kind, rows[0] if rows else None, labels, weights)

    def _compare(self, kind: str, rows: int | None, labels: Any, weights: Any) -> None:
        functional = getattr(self._model, "_functional", None) or self._model
        inputs = tree.map_structure(lambda each: _spec(each, rows), functional._inputs_struct)
        targets = () if kind == "predict" else (labels,) if weights is None else (labels, weights)
        self._split._equality.check(kind, (inputs, *targets) if targets else inputs, adapts=False)


@contextlib.contextmanager
def _told(tell: Callable[..., None]) -> Iterator[None]:
    """What keeps a comparison from being made is told; what cannot be served is said where it is served."""
    try:
        yield
    except NotExact:
        raise
    except Exception as error:
        tell(
            "Whether training split equals training whole was not compared (%s). `keras-split verify` "
            "compares it on data.",
            type(error).__name__,
        )


class _Nobody:
    """Where no body is placed, and nothing is asked."""

    def session(self, timeouts: Any) -> NoReturn:
        raise RuntimeError("Nothing runs in a comparison of graphs.")


def _labels(model: keras.Model) -> Any:
    """As the losses of a model usually have them."""
    losses = tree.flatten(model.loss)
    outputs = tree.flatten(model.outputs)
    if len(losses) != len(outputs):
        losses = losses[:1] * len(outputs)
    found = [_label(loss, output) for loss, output in zip(losses, outputs, strict=True)]
    return found[0] if len(found) == 1 else found


def _label(loss: Any, output: Any) -> tf.TensorSpec:
    if type(keras.losses.get(loss)).__name__.startswith("Sparse") or str(loss).startswith("sparse"):
        return tf.TensorSpec(tuple(output.shape)[:-1], tf.int32)
    return tf.TensorSpec(tuple(output.shape), tf.float32)


def _spec(tensor: Any, rows: int | None) -> tf.TensorSpec:
    return tf.TensorSpec((tensor.shape[0] or rows, *tensor.shape[1:]), tensor.dtype)
