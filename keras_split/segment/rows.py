"""Tells TensorFlow that the tensors of a batch have equally many rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_split.segment.names import named


def share_rows(
    tensors: list[Any],
    names: Sequence[str],
    ties: Sequence[int],
    own: Sequence[Any] = (),
    own_ties: Sequence[int] = (),
) -> list[Any]:
    """The same values, known to agree in their first dimension.

    In the unsplit model all of them come from one batch, and TensorFlow may fuse an addition of two of
    them with the layer before; of inputs that arrive one by one it knows no such thing, and the sum
    would round in another way. Joining and cutting them again proves it, at the price of two copies.

    Args:
        tensors: Any mixture of dtypes and ranks; those of a dtype are joined.
        names: Of the operations that made them, which those that make them here get too.
        ties: Numbers, not 0, that are equal for tensors with equally many rows.
        own: Tensors of the graph at hand, which stay as they are.
        own_ties: Of these, in the same numbering.
    """
    # In a graph that runs, arguments have no shapes by themselves.
    tensors = [tf.raw_ops.EnsureShape(input=each, shape=each.shape) for each in tensors]
    groups, known = _groups(tensors, ties), _groups(own, own_ties)
    shared = list(tensors)
    for group, places in groups.items():
        # Joined, they have the rows of the first: of one that the graph has already, if there is one.
        numbers = [own[at] for at in known.get(group, []) if not own[at].dtype.is_bool]
        first = [_column(each) for each in sorted(numbers, key=_width)[:1]]
        if len(first) + len(places) > 1:
            joined = _joined([*first, *(tensors[at] for at in places)])
            for at, tensor in zip(places, joined[len(first) :], strict=True):
                shared[at] = tensor
    return [named(tensor, name) for tensor, name in zip(shared, names, strict=True)]


def _groups(tensors: Sequence[Any], ties: Sequence[int]) -> dict[Any, list[int]]:
    """Places of tensors that can be joined."""
    groups: dict[Any, list[int]] = {}
    for at, (tensor, tie) in enumerate(zip(tensors, ties, strict=True)):
        if tie and tensor.shape.rank and tensor.shape[0] is None and None not in tensor.shape[1:]:
            groups.setdefault((tensor.dtype, tie), []).append(at)
    return groups


def _width(tensor: Any) -> int:
    return math.prod(tensor.shape[1:])


def _column(tensor: Any) -> Any:
    """Something of each row; by a reduction, whose rows TensorFlow knows for the tensor's."""
    axes = list(range(1, tensor.shape.rank))
    return tf.expand_dims(tf.reduce_max(tensor, axes) if axes else tensor, 1)


def _joined(tensors: list[Any]) -> list[Any]:
    widths = [*map(_width, tensors)]
    flat = [
        tf.reshape(tensor, tf.stack([tf.shape(tensor)[0], width]))
        for tensor, width in zip(tensors, widths, strict=True)
    ]
    joined = tf.concat(flat, axis=1)
    rows = tf.shape(joined)[0]
    return [
        tf.reshape(part, tf.stack([rows, *tensor.shape[1:]]))
        for part, tensor in zip(tf.split(joined, widths, axis=1), tensors, strict=True)
    ]
