"""Operations of a part have the names that they have in the whole model.

TensorFlow's optimizer of graphs sorts the addends of a sum by the names of the operations that made them, so
that a sum of three and more depends on names. What else it does with a sum depends on whether it can tell
that all addends have equally many rows. So a tensor that crosses a cut takes along how the optimizer sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.grappler import item

from keras_split.segment.optimized import PROBE, optimized


class Sight:
    """How TensorFlow's optimizer leaves some tensors of the graph at hand; nothing outside of a graph.

    Args:
        tensors: Those that are asked about.
    """

    def __init__(self, tensors: Sequence[Any]):
        # The tensor that it has become, and its rows.
        self._left: dict[Any, tuple[str, int]] = {}
        if not tensors or not tf.inside_function():
            return
        graph = optimized(tensors[0].graph, tensors)
        made = {node.name: node for node in graph.graph_def.node}
        properties = item.Item(graph, ignore_colocation=True, ignore_user_placement=True).GetOpProperties()
        for at, tensor in enumerate(tensors):
            left = made[PROBE.format(at)].input[0]
            name, _, place = left.partition(":")
            self._left[tensor.ref()] = left, _rows(properties.get(name, ()), int(place or 0))

    def name(self, tensor: Any) -> str:
        """The operation that makes a tensor."""
        return self._left.get(tensor.ref(), ("", -1))[0].partition(":")[0]

    def one_of(self, tensor: Any) -> Any:
        """Equal for tensors that become the same one."""
        return self._left.get(tensor.ref(), (tensor.ref(), -1))[0]

    def rows(self, tensor: Any) -> int:
        """How many rows a tensor is known to have.

        Returns:
            A number: the size itself, or a negative one that stands for a size that may vary; two tensors
            have the same if they are known to have equally many. -1 where nothing is known.
        """
        return self._left.get(tensor.ref(), ("", -1))[1]

    def ties(self, tensors: Sequence[Any]) -> list[int]:
        """Numbers from 1 for tensors whose rows may vary, equal where these are; 0 where nothing is known."""
        numbers: dict[int, int] = {}
        rows = map(self.rows, tensors)
        return [0 if each >= -1 else numbers.setdefault(each, len(numbers) + 1) for each in rows]


def _rows(properties: Any, place: int) -> int:
    shape = properties[place].shape if place < len(properties) else None
    return -1 if shape is None or shape.unknown_rank or not shape.dim else int(shape.dim[0].size)


def named_as(whole: str, part: keras.Model) -> keras.Model:
    """Has a part's operations named as those of the model that it is a part of; returns the part.

    Args:
        whole: Name of that model.
        part: Whose layers it shares, or has been given.
    """
    # Keras opens each scope twice in a call, first to build, and TensorFlow counts.
    part._open_name_scope = partial(tf.name_scope, f"{whole}_1/")
    return part


def named(tensor: Any, name: str) -> Any:
    """The same tensor, made by an operation of a name."""
    if not name or not tf.inside_function():
        return tensor
    with tf.name_scope(""):
        # Neither copies, nor is taken away by TensorFlow's optimizer as an Identity is, and both leave sizes
        # the same ones as those of the tensor: of an EnsureShape's, TensorFlow would see that too late.
        return tf.raw_ops.Squeeze(input=tf.raw_ops.ExpandDims(input=tensor, axis=0), axis=[0], name=name)
