"""Data that costs less than the training which it is for."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras import tree

_AS_WRITTEN = tf.data.Options()
_AS_WRITTEN.experimental_optimization.apply_default_optimizations = False
_AS_WRITTEN.autotune.enabled = False


def in_batches(size: int, *nests: Any) -> tf.data.Dataset:
    """Batches of rows in their order, made once for any number of trainings.

    Each `fit` of arrays has TensorFlow trace, rewrite and tune a pipeline, which takes as long as the rest of
    a small model's training. That arrays and all other kinds of data are trained from exactly is the law of
    one test file; the others need not pay for it.

    Args:
        size: Rows of a batch; the last one may have fewer.
        nests: Inputs, labels and weights of all rows, without those that are None.
    """
    # TensorFlow takes a list for one tensor.
    given = tuple(tree.lists_to_tuples(each) for each in nests if each is not None)
    return tf.data.Dataset.from_tensor_slices(given).batch(size).with_options(_AS_WRITTEN)
