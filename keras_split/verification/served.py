"""Whether clients of a server train what the whole model is; asked before the first of them comes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NoReturn

import keras
import tensorflow as tf
from keras import tree

from keras_split.errors import NotExact
from keras_split.model import SplitModel

_log = logging.getLogger(__name__)


def check_served(model: keras.Model, cut: Sequence[str], second_cut: Sequence[str]) -> None:
    """Compares the parts of a model that will be served with the whole of it.

    Args:
        model: Compiled.
        cut: Names of the cut's layers.
        second_cut: Those behind which the client's part begins again; empty to share labels.

    Raises:
        NotExact: They would be trained to other bits; the text says what to do.
    """
    try:
        split: Any = SplitModel(model, list(cut), list(second_cut) or None, server=_Nobody())
        split.compile_from_config({**model.get_compile_config(), "jit_compile": "auto"})
        functional = getattr(model, "_functional", None) or model
        inputs = tree.map_structure(_spec, functional._inputs_struct)
        split._equality.check("train", (inputs, _labels(model)))
    except NotExact:
        raise
    except Exception as error:
        # What labels clients will have is a guess where losses are the user's own, and what cannot be served
        # is said where it is served.
        _log.info(
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


def _spec(tensor: Any) -> tf.TensorSpec:
    return tf.TensorSpec(tuple(tensor.shape), tensor.dtype)
