"""Rows with and without labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import tree


class Labelled:
    """The rows of a batch that have labels; the others never leave the client.

    Unlabelled rows are marked as in scikit-learn: -1 for integers, and NaN for floats. One mark
    in a row's labels is enough.

    Args:
        y: Nested labels `(rows, ...)`.
    """

    def __init__(self, y: Any):
        known = [_known(each) for each in tree.flatten(y) if each is not None]
        self._places = tf.where(tf.reduce_all(tf.stack(known), axis=0))[:, 0]

    def of(self, nest: Any) -> Any:
        """These rows of every tensor."""
        return tree.map_structure(lambda each: None if each is None else tf.gather(each, self._places), nest)

    def among_all(self, gradient: Any, tensor: Any) -> Any:
        """Gradients of these rows, among zeros for the others.

        Args:
            gradient: Of `of(tensor)`.
            tensor: With all rows.
        """
        return tf.tensor_scatter_nd_update(tf.zeros_like(tensor), self._places[:, None], gradient)

    def keep_if_none(self, model: keras.Model, volatile: list[tuple[Any, Any]]) -> None:
        """Takes a model's forward pass back if no row has a label.

        Args:
            model: That has run.
            volatile: Variables that a forward pass changes, each with its value before; others' as well.
        """
        own = {id(each) for each in model.variables}
        for variable, before in volatile:
            if id(variable) in own:
                variable.assign(tf.where(self.count > 0, tf.convert_to_tensor(variable), before))

    @property
    def count(self) -> Any:
        """How many."""
        return tf.shape(self._places)[0]


def by_class(y: Any, sample_weight: Any, class_weight: Mapping[int, float]) -> Any:
    """Keras' `class_weight` as sample weights, of rows that all have a class.

    Args:
        y: Labels of one output: classes, or one-hot.
        sample_weight: Must be None, as in Keras.
        class_weight: Weights by class; others weigh 1.

    Raises:
        ValueError: There are sample weights as well, or several outputs.
    """
    if sample_weight is not None or tree.is_nested(y):
        raise ValueError(
            "`class_weight` is for models with a single output, and not beside a `sample_weight`. Received: "
            f"class_weight with {len(tree.flatten(y))} outputs, sample_weight="
            f"{'None' if sample_weight is None else 'given'}."
        )
    if y.shape.rank > 1 and y.shape[-1] != 1:
        classes = tf.argmax(y, -1, output_type=tf.int32)
    else:
        rounded = tf.round(y) if y.dtype.is_floating else y
        classes = tf.reshape(tf.cast(rounded, tf.int32), [-1])
    known = range(max(class_weight, default=0) + 1)
    table = tf.constant([class_weight.get(each, 1.0) for each in known], keras.config.floatx())
    inside = (classes >= 0) & (classes < len(known))
    return tf.where(inside, tf.gather(table, tf.where(inside, classes, 0)), tf.ones((), table.dtype))


def _known(y: Any) -> Any:
    y = tf.convert_to_tensor(y)
    known = ~tf.math.is_nan(y) if y.dtype.is_floating else tf.not_equal(y, tf.cast(-1, y.dtype))
    if y.dtype.is_unsigned or y.dtype.is_bool:
        known = tf.ones_like(y, tf.bool)
    return tf.reduce_all(known, axis=list(range(1, len(known.shape))))
