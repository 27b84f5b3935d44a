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
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.grappler import item

# Where shape and type stay, as behind a broadcast that was none.
_REMOVED = ("Cast", "EnsureShape", "Identity", "Reshape", "StopGradient", "Sum")


class Sight:
    """What TensorFlow's optimizer sees of the graph at hand, so far; nothing outside of a graph."""

    def __init__(self) -> None:
        self._properties: Any = {}
        self._sees = tf.inside_function()
        if not self._sees:
            return
        graph = tf.compat.v1.get_default_graph()
        last = graph.get_operations()[-1:]
        meta = meta_graph_pb2.MetaGraphDef(graph_def=graph.as_graph_def())
        meta.collection_def["train_op"].node_list.value.extend(each.name for each in last)
        seen = item.Item(meta, ignore_colocation=True, ignore_user_placement=True)
        self._properties = seen.GetOpProperties() if last else {}

    def rows(self, tensor: Any) -> int:
        """How many rows a tensor is known to have.

        Returns:
            A number: the size itself, or a negative one that stands for a size that may vary; two tensors
            have the same if they are known to have equally many. -1 where nothing is known.
        """
        if not self._sees:
            return -1
        found = self._properties.get(tensor.op.name, ())
        shape = found[tensor.value_index].shape if tensor.value_index < len(found) else None
        return -1 if shape is None or shape.unknown_rank or not shape.dim else int(shape.dim[0].size)

    def ties(self, tensors: Sequence[Any]) -> list[int]:
        """Numbers from 1 for tensors whose rows may vary, equal where these are; 0 where nothing is known."""
        numbers: dict[int, int] = {}
        rows = map(self.rows, tensors)
        return [0 if each >= -1 else numbers.setdefault(each, len(numbers) + 1) for each in rows]

    def name(self, tensor: Any) -> str:
        """The operation that the optimizer leaves as the one that made a tensor."""
        if not self._sees:
            return ""
        left = tensor
        while tensor.op.type in _REMOVED:
            tensor = tensor.op.inputs[0]
            if self._is_alike(left, tensor):
                left = tensor
        return str(left.op.name)

    def _is_alike(self, tensor: Any, other: Any) -> bool:
        if tensor.dtype != other.dtype or None in (tensor.shape.rank, other.shape.rank):
            return False
        same = tensor.shape.as_list() == other.shape.as_list()
        return same and self.rows(tensor) == self.rows(other) != -1


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
        return tf.raw_ops.Snapshot(input=tensor, name=name)
