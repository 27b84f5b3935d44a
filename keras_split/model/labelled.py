"""Rows with and without labels."""

from __future__ import annotations

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


def _known(y: Any) -> Any:
    y = tf.convert_to_tensor(y)
    known = ~tf.math.is_nan(y) if y.dtype.is_floating else tf.not_equal(y, tf.cast(-1, y.dtype))
    if y.dtype.is_unsigned or y.dtype.is_bool:
        known = tf.ones_like(y, tf.bool)
    return tf.reduce_all(known, axis=list(range(1, len(known.shape))))
