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
from tensorflow.python.eager import context
from tensorflow.python.grappler import item, tf_optimizer
from tensorflow.python.ops import handle_data_util


class Sight:
    """How TensorFlow's optimizer leaves some tensors of the graph at hand; nothing outside of a graph.

    Args:
        tensors: Those that are asked about.
    """

    def __init__(self, tensors: Sequence[Any]):
        self._left: dict[Any, tuple[str, int]] = {}
        if not tensors or not tf.inside_function():
            return
        graph = _optimized(tensors)
        made = {node.name: node for node in graph.graph_def.node}
        properties = item.Item(graph, ignore_colocation=True, ignore_user_placement=True).GetOpProperties()
        for at, tensor in enumerate(tensors):
            name, _, place = made[_PROBE.format(at)].input[0].partition(":")
            self._left[tensor.ref()] = name, _rows(properties.get(name, ()), int(place or 0))

    def name(self, tensor: Any) -> str:
        """The operation that makes a tensor."""
        return self._left.get(tensor.ref(), ("", -1))[0]

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


_PROBE = "keras_split_probe_{}"


def _optimized(tensors: Sequence[Any]) -> Any:
    """The graph of some tensors as TensorFlow will run it."""
    graph = meta_graph_pb2.MetaGraphDef(graph_def=tensors[0].graph.as_graph_def())
    _tell_variables(tensors[0].graph, graph.graph_def)
    probes = graph.collection_def["train_op"].node_list.value
    for at, tensor in enumerate(tensors):
        probe = graph.graph_def.node.add(name=_PROBE.format(at), op="Identity", input=[tensor.name])
        probe.attr["T"].type = tensor.dtype.as_datatype_enum
        probes.append(probe.name)
    config = context.context().config
    rewriting = config.graph_options.rewrite_options
    if not rewriting.disable_meta_optimizer:
        # As small as it may be.
        rewriting.min_graph_nodes = -1
        graph.graph_def.CopyFrom(tf_optimizer.OptimizeGraph(config, graph))
    return graph


def _tell_variables(graph: Any, graph_def: Any) -> None:
    """Has the shapes of variables known, as they are when the graph runs."""
    for at, node in enumerate(graph_def.node):
        if node.op != "Placeholder" or node.attr["dtype"].type != tf.resource.as_datatype_enum:
            continue
        known = handle_data_util.get_resource_handle_data(graph.get_operation_by_name(node.name).outputs[0])
        node.op = "_Arg"
        node.attr.clear()
        node.attr["T"].type = tf.resource.as_datatype_enum
        node.attr["index"].i = at
        node.attr["_handle_dtypes"].list.type.extend(each.dtype for each in known.shape_and_type)
        node.attr["_handle_shapes"].list.shape.extend(each.shape for each in known.shape_and_type)


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
        return tf.raw_ops.EnsureShape(input=tensor, shape=tensor.shape, name=name)
