"""What travels beside the smashed data: labels and sample weights, as a model's loss wants them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from keras_split.segment import Input


@dataclass(frozen=True)
class Targets:
    """A compiled model's loss and what it is computed from.

    Args:
        loss: As in `keras.Model.compile`.
        loss_weights: As in `keras.Model.compile`.
        labels: Nest of specs, each `(batch, ...)`, or None.
        sample_weight: Likewise.
    """

    loss: Any
    loss_weights: Any
    labels: Any
    sample_weight: Any


def read_targets(model: keras.Model, batch_size: int, labels: Any, sample_weight: Any) -> Targets:
    """Reads the loss from a compiled model, and guesses the labels where none are given.

    Args:
        model: Compiled.
        batch_size: Samples in a step.
        labels: Nest of what has a shape and a dtype; None for a guess by the loss.
        sample_weight: Likewise; None for none.

    Raises:
        ValueError: Not compiled, or labels that cannot be guessed.
    """
    if not getattr(model, "compiled", False):
        raise ValueError(
            "The loss decides which labels travel and which gradients come back, so the model must be "
            f"compiled. Call `model.compile(...)` first. Received: a model {model.name!r} that is not."
        )
    compiled = model._compile_loss
    loss = None if compiled is None else compiled._user_loss
    if labels is None:
        labels = _guess(model, loss)
    return Targets(
        loss,
        None if compiled is None else compiled._user_loss_weights,
        tree.map_structure(functools.partial(_spec, "label", batch_size), labels),
        tree.map_structure(functools.partial(_spec, "sample_weight", batch_size), sample_weight),
    )


def _spec(role: str, batch_size: int, each: Any) -> Input | None:
    if each is None:
        return None
    if not (hasattr(each, "shape") and hasattr(each, "dtype")):
        raise ValueError(
            f"A {role} must have a shape and a dtype, as NumPy arrays and `tf.TensorSpec` do. "
            f"Received: a {type(each).__name__}."
        )
    dtype = tf.as_dtype(each.dtype)
    # As `fit` does with arrays.
    is_cast = isinstance(each, np.ndarray) and dtype.is_floating
    name = keras.config.floatx() if is_cast else dtype.name
    return Input(role, (batch_size, *tuple(each.shape)[1:]), name)


def _guess(model: keras.Model, loss: Any) -> Any:
    """A label for each output that has a loss, nested as `compile` has the losses."""
    # A Sequential model has its graph inside.
    graph = getattr(model, "_functional", None) or model
    if loss is None:
        return None
    if isinstance(loss, dict):
        outputs = dict(zip(graph.output_names, graph.outputs, strict=True))
        if isinstance(graph.output, dict):
            outputs.update(graph.output)
        return {name: _label(each, outputs[name]) for name, each in loss.items() if each is not None}
    if isinstance(loss, (list, tuple)):
        return [_label(each, output) for each, output in zip(loss, graph.outputs, strict=True)]
    return tree.map_structure(lambda output: _label(loss, output), graph.output)


def _label(loss: Any, output: Any) -> tf.TensorSpec | None:
    if loss is None:
        return None
    name = _name(loss)
    if name in ("ctc", "crossentropy", "ce"):
        raise ValueError(
            "Shape and dtype of the labels cannot be guessed from this loss. Give `labels=`, an array or a "
            f"`tf.TensorSpec` as `fit` will get them. Received: loss={loss!r}."
        )
    if name.startswith("sparsecategorical"):
        return tf.TensorSpec(output.shape[:-1], "int64")
    return tf.TensorSpec(output.shape, keras.config.floatx())


def _name(loss: Any) -> str:
    """Without what tells a loss's class from its function."""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return name.lower().replace("_", "")
