"""The tensors that cross a cut, found by walking the graph from the cut's layers to the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import tree

from keras_split.partition.graph import Graph, mask_of


@dataclass(frozen=True)
class Frontier:
    """What crosses a cut.

    Args:
        tensors: Symbolic tensors, in topological order.
        masks: For each tensor the place, in `tensors`, of its mask, or None.
        front: Operations on the client's side, in topological order.
        rest: Operations on the server's side.
    """

    tensors: list[Any]
    masks: list[int | None]
    front: list[Any]
    rest: list[Any]


class IllegalCut(ValueError):
    """A cut that would leak, or that cannot be made."""


def find_frontier(graph: Graph, nodes: list[Any]) -> Frontier:
    """The frontier behind the given nodes.

    Raises:
        IllegalCut: A raw input would cross, or nothing would remain on one of the sides.
    """
    front = _front(graph, nodes)
    front_nodes = [node for node in graph.nodes if id(node) in front]
    rest_nodes = [node for node in graph.nodes if id(node) not in front]
    read_outside = {id(tensor) for node in rest_nodes for tensor in node.input_tensors}
    read_outside |= {id(tensor) for tensor in tree.flatten(graph.outputs)}
    _check_raw_inputs(graph, rest_nodes, read_outside)
    tensors = [out for node in front_nodes for out in node.outputs if id(out) in read_outside]
    tensors, masks = _with_masks(tensors)
    operations = [_operations(front_nodes), _operations(rest_nodes)]
    _check_sides(*operations)
    return Frontier(tensors, masks, *operations)


def _front(graph: Graph, nodes: list[Any]) -> set[int]:
    """Ancestors of the nodes, and of the masks of every tensor among them.

    The mask of an Embedding is computed from the token ids by a node of its own, which is no ancestor
    of anything; left to the server, it would need the raw input there.
    """
    front = graph.ancestors(nodes)
    while True:
        masks = [mask_of(tensor) for node in graph.nodes if id(node) in front for tensor in node.outputs]
        makers = [graph.producer(mask) for mask in masks if mask is not None]
        grown = front | graph.ancestors([maker for maker in makers if maker is not None])
        if grown == front:
            return front
        front = grown


def _check_raw_inputs(graph: Graph, rest_nodes: list[Any], read_outside: set[int]) -> None:
    for tensor in tree.flatten(graph.inputs):
        if id(tensor) in read_outside:
            readers = [
                node.operation.name
                for node in rest_nodes
                if any(tensor is each for each in node.input_tensors)
            ]
            raise IllegalCut(
                f"would send the raw input {tensor.name!r} to the server, where "
                f"{', '.join(map(repr, readers)) or 'an output'} reads it; also name a layer that "
                f"{tensor.name!r} has passed on that branch"
            )


def _with_masks(tensors: list[Any]) -> tuple[list[Any], list[int | None]]:
    """Appends the masks that are not on the frontier by themselves."""
    every = list(tensors)
    for tensor in tensors:
        mask = mask_of(tensor)
        if mask is not None and not any(mask is each for each in every):
            every.append(mask)
    return every, [_place(mask_of(tensor), every) for tensor in every]


def _place(wanted: Any, tensors: list[Any]) -> int | None:
    return next((at for at, each in enumerate(tensors) if each is wanted), None)


def _operations(nodes: list[Any]) -> list[Any]:
    return list({id(node.operation): node.operation for node in nodes}.values())


def _check_sides(front: list[Any], rest: list[Any]) -> None:
    if not rest:
        raise IllegalCut("leaves no layer for the server")
    shared = _leaves(front) & _leaves(rest)
    if shared:
        raise IllegalCut(
            f"puts {', '.join(sorted(repr(name) for _, name in shared))} on both sides, "
            "since the layer is used more than once"
        )
    if not any(getattr(each, "weights", None) for each in front):
        raise IllegalCut(
            "leaves no layer with weights on the client, so that the server would see the raw input "
            "through a function that it knows"
        )


def _leaves(operations: list[Any]) -> set[tuple[int, str]]:
    layers = [
        layer
        for each in operations
        for layer in (each._flatten_layers() if hasattr(each, "_flatten_layers") else [each])
    ]
    return {(id(layer), layer.name) for layer in layers}
