"""A graph as TensorFlow's optimizer of graphs leaves it, which is what runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.eager import context
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.ops import handle_data_util

PROBE = "keras_split_probe_{}"
# Behind the names of arguments as they are given; by the names themselves they have their shapes.
ARGUMENT = "_keras_split_given"


def is_rewriting() -> bool:
    """Whether TensorFlow rewrites graphs in this process."""
    return not context.context().config.graph_options.rewrite_options.disable_meta_optimizer


def optimized(graph: Any, tensors: Sequence[Any], operations: Sequence[str] = ()) -> Any:
    """A graph as TensorFlow will run it.

    Args:
        graph: Of a function, traced.
        tensors: Of the graph; in what is returned, each is read by an Identity named `PROBE.format(place)`.
        operations: Names of further operations that are to stay.

    Returns:
        A `MetaGraphDef`.
    """
    found = meta_graph_pb2.MetaGraphDef(graph_def=graph.as_graph_def())
    _tell_shapes(graph, found.graph_def)
    wanted = found.collection_def["train_op"].node_list.value
    wanted.extend(operations)
    for at, tensor in enumerate(tensors):
        probe = found.graph_def.node.add(name=PROBE.format(at), op="Identity", input=[tensor.name])
        probe.attr["T"].type = tensor.dtype.as_datatype_enum
        wanted.append(probe.name)
    _place(found.graph_def)
    if is_rewriting():
        config = context.context().config
        # As small as it may be.
        config.graph_options.rewrite_options.min_graph_nodes = -1
        found.graph_def.CopyFrom(tf_optimizer.OptimizeGraph(config, found))
    return found


def _place(graph_def: Any) -> None:
    """Has all of it on the CPU, where there is nothing else: some rewriting is for CPUs only."""
    devices = tf.config.list_logical_devices()
    if all(each.device_type == "CPU" for each in devices):
        for node in graph_def.node:
            node.device = devices[0].name if not node.device else node.device


def _tell_shapes(graph: Any, graph_def: Any) -> None:
    """Has arguments and variables known by their shapes, as they are when the graph runs."""
    for at, node in enumerate(list(graph_def.node)):
        if node.op != "Placeholder":
            continue
        given = graph.get_operation_by_name(node.name).outputs[0]
        node.op = "_Arg"
        node.attr.clear()
        node.attr["T"].type = given.dtype.as_datatype_enum
        node.attr["index"].i = at
        if given.dtype == tf.resource:
            known = handle_data_util.get_resource_handle_data(given).shape_and_type
            node.attr["_handle_dtypes"].list.type.extend(each.dtype for each in known)
            node.attr["_handle_shapes"].list.shape.extend(each.shape for each in known)
        elif given.dtype != tf.variant and given.shape.rank is not None:
            shaped = graph_def.node.add(name=node.name, op="EnsureShape", input=[node.name + ARGUMENT])
            shaped.attr["T"].type = given.dtype.as_datatype_enum
            shaped.attr["shape"].shape.CopyFrom(given.shape.as_proto())
            node.name += ARGUMENT
