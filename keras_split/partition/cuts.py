"""Which cuts a model has, and what each costs its client."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from keras_split.partition.costs import flops_per_operation
from keras_split.partition.frontier import Frontier, IllegalCut, find_frontier
from keras_split.partition.graph import Graph, nested_paths


@dataclass(frozen=True)
class Cut:
    """A legal cut.

    Args:
        name: What to pass as `cut=`.
        shapes: Frontier shapes, the batch dimension first, as None.
        bytes_per_sample: Bytes that go up for one sample; about as many come down in training. None
            where a dimension other than the batch may vary.
        client_parameters: Parameters on the client.
        client_flops: Floating-point operations of the head's forward pass for one sample.
        parameter_share: Client's part of all parameters.
        flops_share: Client's part of all operations.
    """

    name: str
    shapes: tuple[tuple[int | None, ...], ...]
    bytes_per_sample: int | None
    client_parameters: int
    client_flops: int
    parameter_share: float
    flops_share: float


def list_cuts(model: keras.Model) -> list[Cut]:
    """Every legal cut by a single name, from the inputs to the outputs.

    Operations are counted by TensorFlow's profiler, for a batch of one.

    Example:

    >>> for cut in keras_split.list_cuts(model):
    ...     print(cut.name, cut.bytes_per_sample)
    """
    flops: dict[int, int] = {}
    return [_describe(name, frontier, flops) for name, frontier in _legal(model)]


def legal_cut_names(model: keras.Model) -> list[str]:
    """The names alone, which are quick to find."""
    return [name for name, _ in _legal(model)]


def resolve_cut(model: keras.Model, names: Sequence[str]) -> tuple[Graph, list[Any]]:
    """The graph in which all names are visible, and their nodes in it.

    Raises:
        IllegalCut: A name that no layer has.
    """
    if not names:
        raise IllegalCut("names no layer")
    graph = Graph(model, opened={parent for name in names for parent in _parents(name)})
    nodes = []
    for name in names:
        leaf = name.rpartition("/")[2]
        found = [node for node in graph.nodes if node.operation.name == leaf]
        if not found:
            raise IllegalCut(f"is not possible: there is no layer {name!r}")
        nodes += found
    return graph, nodes


def _legal(model: keras.Model) -> Iterator[tuple[str, Frontier]]:
    for name in _candidates(model):
        try:
            graph, nodes = resolve_cut(model, [name])
            yield name, find_frontier(graph, nodes)
        except IllegalCut:
            continue


def _candidates(model: keras.Model) -> Iterator[str]:
    """Names in topological order, a nested model's layers after the model itself."""
    inner = list(nested_paths(model))
    seen: set[str] = set()
    for node in Graph(model).nodes:
        name = node.operation.name
        if name not in seen:
            seen.add(name)
            yield name
            yield from (path for path in inner if path.startswith(f"{name}/"))


def _parents(name: str) -> list[str]:
    steps = name.split("/")
    return ["/".join(steps[:count]) for count in range(1, len(steps))]


def _describe(name: str, frontier: Frontier, flops: dict[int, int]) -> Cut:
    client, server = frontier.front, frontier.rest
    client_flops = flops_per_operation(client, flops)
    client_parameters = _parameters(client)
    return Cut(
        name=name,
        shapes=tuple(tuple(tensor.shape) for tensor in frontier.tensors),
        bytes_per_sample=_bytes_per_sample(frontier.tensors),
        client_parameters=client_parameters,
        client_flops=client_flops,
        parameter_share=_share(client_parameters, _parameters(server)),
        flops_share=_share(client_flops, flops_per_operation(server, flops)),
    )


def _parameters(operations: Sequence[Any]) -> int:
    weights = {id(each): each for op in operations for each in getattr(op, "weights", [])}
    return sum(math.prod(weight.shape) for weight in weights.values())


def _bytes_per_sample(tensors: Sequence[Any]) -> int | None:
    shapes = [tuple(tensor.shape)[1:] for tensor in tensors]
    if any(size is None for shape in shapes for size in shape):
        return None
    return sum(
        math.prod(shape) * tf.as_dtype(tensor.dtype).size
        for shape, tensor in zip(shapes, tensors, strict=True)
    )


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else 0.0
