"""A read-only view of a functional model's graph, nested models opened where a cut asks for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any

import keras
from keras import tree


class Graph:
    """Nodes of a model in the order in which it runs them, with the nodes that produce each tensor.

    Args:
        model: Built functional or Sequential model.
        opened: Paths of nested models whose layers take part in the graph by themselves.

    Attributes:
        inputs: Nest of the model's symbolic inputs.
        outputs: Nest of its symbolic outputs.
        nodes: Calls of layers and operations.
        paths: For each of these the names of the operation and of the opened models around it.
    """

    def __init__(self, model: keras.Model, opened: Collection[str] = ()):
        functional = _functional(model)
        self.inputs, self.outputs = functional._inputs_struct, functional._outputs_struct
        found = [(node, node.operation.name) for node in _in_order(functional) if not node.is_input]
        if opened:
            self.inputs = tree.map_structure(_fresh_input, self.inputs)
            opening = _Opening(frozenset(opened))
            self.outputs = opening.run(functional, tree.flatten(self.inputs))
            found = opening.found
        self.nodes = [node for node, _ in found]
        self.paths = dict(found)
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
    """Whether an operation is itself a model that does nothing but run its graph."""
    return (
        isinstance(operation, keras.Model)
        and bool(getattr(operation, "built", False))
        and (hasattr(operation, "_nodes_by_depth") or getattr(operation, "_functional", None) is not None)
        and type(operation).call.__module__.partition(".")[0] == "keras"
    )


def nested_paths(model: keras.Model, prefix: str = "") -> Iterator[str]:
    """Paths `outer/inner` of every operation inside the nested models, each once."""
    operations = {
        id(node.operation): node.operation for node in _in_order(_functional(model)) if not node.is_input
    }
    for operation in operations.values():
        if prefix:
            yield f"{prefix}{operation.name}"
        if is_nested(operation):
            yield from nested_paths(operation, f"{prefix}{operation.name}/")


def same_places(paths: Sequence[str], model: keras.Model, other: keras.Model) -> list[str]:
    """What layers of a model are called in another one that was built in the same way.

    Args:
        paths: Names, or paths into nested models; what the model does not have stays as it is.
        model: Where they are known.
        other: Where Keras may have counted on.
    """
    return [_same_place(path, model, other) for path in paths]


def _same_place(path: str, model: Any, other: Any) -> str:
    names = []
    for name in path.split("/"):
        here, there = (getattr(each, "_functional", None) or each for each in (model, other))
        inside = list(zip(getattr(here, "operations", ()), getattr(there, "operations", ()), strict=False))
        found = [pair for pair in inside if pair[0].name == name]
        if not found:
            return path
        model, other = found[0]
        names.append(other.name)
    return "/".join(names)


def mask_of(tensor: Any) -> Any | None:
    """The symbolic mask that travels with a symbolic tensor."""
    return getattr(tensor, "_keras_mask", None)


def node_of(tensor: Any) -> Any:
    """The call that made a symbolic tensor."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _mask_producer(tensor: Any) -> Any | None:
    # A mask that no layer reads is in no model's graph, but still decides which outputs count.
    if not hasattr(tensor, "_keras_history"):
        return None
    node = node_of(tensor)
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


def _fresh_input(tensor: Any) -> Any:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


class _Opening:
    """Runs a model on symbolic tensors in a graph of its own, where the opened models have dissolved.

    Args:
        opened: Their paths.

    Attributes:
        found: New nodes in the order in which the model runs them, each with its path.
    """

    def __init__(self, opened: frozenset[str]):
        self._opened = opened
        self.found: list[tuple[Any, str]] = []

    def run(self, functional: Any, inputs: list[Any], prefix: str = "") -> Any:
        """Outputs of the model, or of a nested one whose path is the prefix."""

        def operation_fn(operation: Any) -> Any:
            path = f"{prefix}{operation.name}"
            if path not in self._opened or not is_nested(operation):
                return partial(self._call, path, operation)
            inside = _functional(operation)
            # Without the options of its call: Keras gives `training` of the outermost model to all inside.
            return lambda x, **_: self.run(inside, tree.flatten(x), f"{path}/")

        return functional._run_through_graph(inputs, operation_fn=operation_fn)

    def _call(self, path: str, operation: Any, *args: Any, **kwargs: Any) -> Any:
        made = operation(*args, **kwargs)
        self.found.append((operation._inbound_nodes[-1], path))
        return made
