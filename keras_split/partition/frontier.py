"""Where each operation runs and which tensors cross, found by walking the graph back from the cuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import tree

from keras_split.partition.graph import Graph, mask_of
from keras_split.partition.sigmoids import ends_in_sigmoid


@dataclass(frozen=True)
class Frontier:
    """Tensors that cross from one section to another.

    Args:
        tensors: Symbolic tensors, in topological order.
        masks: For each tensor the place, in `tensors`, of its mask, or None.
    """

    tensors: list[Any]
    masks: list[int | None]


@dataclass(frozen=True)
class Sections:
    """A model's operations, in topological order, by the party that runs them.

    Args:
        head: On the client, in front of the cut.
        body: On the server.
        tail: On the client, behind the second cut; empty where there is none.
        frontier: What the body reads of the head.
        second_frontier: What the tail reads: first the body's tensors, then the head's. None without
            a tail.
        kept: How many of these, the last ones, are the head's and so never leave the client.
        outputs: Of the model. What makes one and what reads it further may be of different sections.
    """

    head: list[Any]
    body: list[Any]
    tail: list[Any]
    frontier: Frontier
    second_frontier: Frontier | None
    kept: int
    outputs: list[Any]

    def describe(self, frontier: Frontier | None) -> list[dict[str, Any]]:
        """The tensors of one of the frontiers, JSON-ready; none where there is no frontier."""
        tensors, masks = ([], []) if frontier is None else (frontier.tensors, frontier.masks)
        return [
            {
                "shape": list(tensor.shape),
                "dtype": tensor.dtype,
                "mask": mask,
                "is_output": _is_in(tensor, self.outputs),
            }
            for tensor, mask in zip(tensors, masks, strict=True)
        ]


_SENT = "would send the raw input {name} to the server, where {readers} reads it"
# What the tail multiplies the server's tensors with is the gradient that goes up.
_SHOWN = (
    "would show the raw input {name} in the gradients that go to the server, since {readers} behind the "
    "second cut reads it"
)


class IllegalCut(ValueError):
    """A cut that would leak, or that cannot be made."""


def find_sections(graph: Graph, nodes: list[Any], second_nodes: list[Any] | None = None) -> Sections:
    """The sections between the given nodes of the cut and those of the second cut.

    Raises:
        IllegalCut: A raw input or an output would be seen by the server, or nothing would remain on
            one of the sides.
    """
    front = _front(graph, nodes)
    inner = None if second_nodes is None else front | _front(graph, second_nodes)
    head = [node for node in graph.nodes if id(node) in front]
    rest = [node for node in graph.nodes if id(node) not in front]
    body = [node for node in rest if inner is None or id(node) in inner]
    tail = [node for node in rest if inner is not None and id(node) not in inner]
    outputs = tree.flatten(graph.outputs)
    _check_raw_inputs(graph, body, _read_by(body, [] if tail else outputs), _SENT)
    _check_raw_inputs(graph, tail, _read_by(tail, outputs if tail else []), _SHOWN)
    frontier = _crossing(head, _read_by(body, [] if tail else outputs))
    first, middle, last = (_operations(each) for each in (head, body, tail))
    _check_sides(first, middle, last)
    _check_sigmoids(graph, head, outputs)
    if inner is None:
        return Sections(first, middle, last, frontier, None, 0, outputs)
    _check_tail(last, body, outputs)
    read = _crossing([*body, *head], _read_by(tail, outputs)).tensors
    kept = [each for each in read if id(graph.producer(each)) in front]
    second = _ordered([*(each for each in read if not _is_in(each, kept)), *kept])
    return Sections(first, middle, last, frontier, second, len(kept), outputs)


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


def _read_by(nodes: list[Any], outputs: list[Any]) -> set[int]:
    return {id(tensor) for node in nodes for tensor in node.input_tensors} | set(map(id, outputs))


def _crossing(makers: list[Any], read: set[int]) -> Frontier:
    return _with_masks([out for node in makers for out in node.outputs if id(out) in read])


def _with_masks(tensors: list[Any]) -> Frontier:
    """Appends the masks that do not cross by themselves."""
    every = list(tensors)
    for tensor in tensors:
        mask = mask_of(tensor)
        if mask is not None and not _is_in(mask, every):
            every.append(mask)
    return _ordered(every)


def _ordered(tensors: list[Any]) -> Frontier:
    return Frontier(tensors, [_place(mask_of(tensor), tensors) for tensor in tensors])


def _is_in(tensor: Any, tensors: list[Any]) -> bool:
    return any(tensor is each for each in tensors)


def _place(wanted: Any, tensors: list[Any]) -> int | None:
    return next((at for at, each in enumerate(tensors) if each is wanted), None)


def _operations(nodes: list[Any]) -> list[Any]:
    return list({id(node.operation): node.operation for node in nodes}.values())


def _check_raw_inputs(graph: Graph, nodes: list[Any], read: set[int], what: str) -> None:
    for tensor in tree.flatten(graph.inputs):
        if id(tensor) in read:
            readers = [node.operation.name for node in nodes if _is_in(tensor, node.input_tensors)]
            where = ", ".join(map(repr, readers)) or "an output"
            raise IllegalCut(
                f"{what.format(name=repr(tensor.name), readers=where)}; also name a layer that "
                f"{tensor.name!r} has passed on that branch"
            )


def _check_sides(head: list[Any], body: list[Any], tail: list[Any]) -> None:
    if not body:
        raise IllegalCut("leaves no layer for the server")
    shared = _leaves(head) & _leaves(body) | _leaves([*head, *body]) & _leaves(tail)
    if shared:
        raise IllegalCut(
            f"puts {', '.join(sorted(repr(name) for _, name in shared))} on both sides, "
            "since the layer is used more than once"
        )
    if not _has_weights(head):
        raise IllegalCut(
            "leaves no layer with weights on the client, so that the server would see the raw input "
            "through a function that it knows"
        )


def _check_sigmoids(graph: Graph, head: list[Any], outputs: list[Any]) -> None:
    # Whether TensorFlow fuses a sigmoid with its layer depends on who else reads what it was applied to: a
    # cross-entropy does, and no other loss. The parts cannot follow that.
    for node in head:
        if any(_is_in(made, outputs) and ends_in_sigmoid(graph, made) for made in node.outputs):
            raise IllegalCut(
                f"leaves the sigmoid of the output {node.operation.name!r} to the client's first layers, "
                "where it could not be as exact as in the whole model; cut in front of that layer, or give "
                "it no activation and its loss `from_logits=True`"
            )


def _check_tail(tail: list[Any], body: list[Any], outputs: list[Any]) -> None:
    if not _has_weights(tail):
        raise IllegalCut(
            "leaves no layer with weights behind the second cut, so that the server would know the "
            "predictions, and by their gradients the labels"
        )
    made = {id(out) for node in body for out in node.outputs}
    if any(id(each) in made for each in outputs):
        raise IllegalCut(
            "leaves an output of the model to the server; also name, in `second_cut`, a layer on the way "
            "to that output"
        )


def _has_weights(operations: list[Any]) -> bool:
    """Weights that training moves, if they are not frozen; statistics of the data hide nothing."""
    layers = [each for each in operations if hasattr(each, "_flatten_layers")]
    return any(inner._trainable_variables for each in layers for inner in each._flatten_layers())


def _leaves(operations: list[Any]) -> set[tuple[int, str]]:
    layers = [
        layer
        for each in operations
        for layer in (each._flatten_layers() if hasattr(each, "_flatten_layers") else [each])
    ]
    return {(id(layer), layer.name) for layer in layers}
