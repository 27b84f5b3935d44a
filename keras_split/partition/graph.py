"""A read-only view of a functional model's graph, nested models opened where a cut asks for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import keras
from keras import tree


class Graph:
    """Nodes of a model in topological order, with the nodes that produce each tensor.

    Args:
        model: Built functional or Sequential model.
        opened: Paths of nested models whose layers take part in the graph by themselves.
    """

    def __init__(self, model: keras.Model, opened: Collection[str] = ()):
        self.functional = _functional(model)
        if opened:
            self.functional = _open(self.functional, frozenset(opened))
        self.inputs = self.functional._inputs_struct
        self.outputs = self.functional._outputs_struct
        self.nodes = [node for node in _in_order(self.functional) if not node.is_input]
        self._producers = {id(tensor): node for node in self.nodes for tensor in node.outputs}

    def producer(self, tensor: Any) -> Any | None:
        """The node that made a tensor; None for a model input."""
        return self._producers.get(id(tensor)) or _mask_producer(tensor)

    def ancestors(self, nodes: list[Any]) -> set[int]:
        """Ids of the nodes and of all that they are computed from."""
        found: set[int] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if id(node) not in found:
                found.add(id(node))
                makers = (self.producer(tensor) for tensor in node.input_tensors)
                waiting.extend(maker for maker in makers if maker is not None)
        return found


def is_nested(operation: Any) -> bool:
    """Whether an operation is itself a model with a graph."""
    return (
        isinstance(operation, keras.Model)
        and bool(getattr(operation, "built", False))
        and (hasattr(operation, "_nodes_by_depth") or getattr(operation, "_functional", None) is not None)
    )


def nested_paths(model: keras.Model, prefix: str = "") -> Iterator[str]:
    """Paths `outer/inner` of every operation inside the nested models."""
    for node in _in_order(_functional(model)):
        operation = node.operation
        if not node.is_input and prefix:
            yield f"{prefix}{operation.name}"
        if is_nested(operation):
            yield from nested_paths(operation, f"{prefix}{operation.name}/")


def mask_of(tensor: Any) -> Any | None:
    """The symbolic mask that travels with a symbolic tensor."""
    return getattr(tensor, "_keras_mask", None)


def _mask_producer(tensor: Any) -> Any | None:
    # A mask that no layer reads is in no model's graph, but still decides which outputs count.
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        return None
    node = history.operation._inbound_nodes[history.node_index]
    return None if node.is_input else node


def _functional(model: keras.Model) -> Any:
    functional = getattr(model, "_functional", None) or model
    if not hasattr(functional, "_nodes_by_depth"):
        raise ValueError(
            f"Only functional and Sequential models that are built can be cut by name; {model.name!r} "
            f"is a {type(model).__name__}. Wrap the parts of a subclassed model in one, as in "
            "`keras.Sequential([keras.Input(shape), head, body])`, and cut at the head's name."
        )
    return functional


def _in_order(functional: Any) -> Iterator[Any]:
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        yield from functional._nodes_by_depth[depth]


def _open(functional: Any, opened: frozenset[str]) -> Any:
    """The same layers in a graph of their own, where the opened models have dissolved."""
    inputs = tree.map_structure(_fresh_input, functional._inputs_struct)
    outputs = _run(functional, tree.flatten(inputs), opened, "")
    # A model's name is part of nothing that is compared, but `summary` shows it.
    return keras.Model(inputs, outputs, name=functional.name)


def _fresh_input(tensor: Any) -> Any:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


def _run(functional: Any, inputs: list[Any], opened: frozenset[str], prefix: str) -> Any:
    def operation_fn(operation: Any) -> Any:
        path = f"{prefix}{operation.name}"
        if path not in opened or not is_nested(operation):
            return operation
        inner = _functional(operation)
        return lambda x, **_: _run(inner, tree.flatten(x), opened, f"{path}/")

    return functional._run_through_graph(inputs, operation_fn=operation_fn)
