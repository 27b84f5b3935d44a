"""Which cuts a model has, and what each costs its client."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf

from keras_split.columns import aligned, percent, short
from keras_split.partition.costs import Flops
from keras_split.partition.frontier import IllegalCut, Sections, find_sections
from keras_split.partition.graph import Graph, nested_paths

_NO_CUTS = "No legal cut by a single name."


@dataclass(frozen=True)
class Cut:
    """A legal cut, or a legal second one behind a given first.

    Args:
        name: What to pass as `cut=`, or `second_cut=`.
        shapes: Of the tensors that cross there, the batch dimension first, as None.
        bytes_per_sample: Of these for one sample: they go up at a cut, and come down at a second cut;
            in training about as many go the other way. None where a dimension other than the batch
            may vary.
        client_parameters: Parameters on the client, in its head and its tail.
        client_flops: Floating-point operations of their forward pass for one sample.
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


class Cuts(list[Cut]):
    """A list of cuts, which prints as a table, and in a notebook as one of its own."""

    titles = ("Cut", "Frontier", "Bytes/sample", "Parameters", "Share", "FLOPs", "Share")

    def rows(self) -> list[tuple[str, ...]]:
        """Cells for people, as many as titles."""
        return [_row(cut) for cut in self]

    def __repr__(self) -> str:
        return "\n".join(aligned(self.titles, self.rows())) if self else _NO_CUTS

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>{_NO_CUTS}</p>"
        head = "".join(f"<th>{html.escape(each)}</th>" for each in self.titles)
        lines = ["".join(f"<td>{html.escape(each)}</td>" for each in row) for row in self.rows()]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def list_cuts(model: keras.Model, after: str | Sequence[str] | None = None) -> Cuts:
    """Every legal cut by a single name, from the inputs to the outputs.

    Operations are counted by TensorFlow's profiler, for one sample.

    Args:
        model: Built functional or Sequential model.
        after: A cut. With it, the second cuts that are legal behind it.

    Raises:
        ValueError: `after` is no legal cut itself.

    Example:

    >>> print(keras_split.list_cuts(model))
    >>> for cut in keras_split.list_cuts(model):
    ...     print(cut.name, cut.bytes_per_sample)
    """
    first = (after,) if isinstance(after, str) else tuple(after or ())
    if first and not cut_is_legal(model, first):
        raise ValueError(
            f"There are no second cuts behind a cut that is not legal. Received: after={after!r}."
        )
    count = Flops(model)
    return Cuts(_describe(name, sections, count) for name, sections in _legal(model, first))


def describe_cut(model: keras.Model, cut: str | Sequence[str], second_cut: str | None = None) -> Cut:
    """One cut with its costs, without those of all others.

    With a second cut, `bytes_per_sample` are all that go up in training: the tensors at the cut, and the
    gradients of those at the second cut.

    Args:
        model: Built functional or Sequential model.
        cut: Name of a layer, or several.
        second_cut: Name of the layer behind which the client's part begins again.

    Raises:
        IllegalCut: There are no such cuts.
    """
    names = [cut] if isinstance(cut, str) else list(cut)
    sections, _ = resolve(model, names, [second_cut] if second_cut else [])
    count = Flops(model)
    found = _describe(", ".join(names), replace(sections, second_frontier=None), count)
    if second_cut is None:
        return found
    up = (found.bytes_per_sample, _describe(second_cut, sections, count).bytes_per_sample)
    return replace(found, bytes_per_sample=None if None in up else sum(each or 0 for each in up))


def legal_cut_names(model: keras.Model, after: tuple[str, ...] = ()) -> list[str]:
    """The names alone, which are quick to find."""
    return [name for name, _ in _legal(model, after)]


def why_no_cut(model: keras.Model) -> str:
    """What to tell where `legal_cut_names` has none."""
    return (
        f"The model {model.name!r} has no legal cut by a single name: behind each layer a raw input would "
        "leave, or no layer with weights would be on the client, or none at all on the server. Where inputs "
        'or branches go around each layer, name several, as in `["left", "right"]`; otherwise put a layer '
        "with weights in front."
    )


def cut_is_legal(model: keras.Model, cut: tuple[str, ...], second_cut: tuple[str, ...] = ()) -> bool:
    """Whether a model can be cut there at all."""
    try:
        resolve(model, cut, second_cut)
    except IllegalCut:
        return False
    return True


def resolve(model: keras.Model, cut: Sequence[str], second_cut: Sequence[str]) -> tuple[Sections, Graph]:
    """The sections between two cuts, and the graph in which all names are visible.

    Raises:
        IllegalCut: A name that no layer has, or a cut that cannot be made.
    """
    if not cut:
        raise IllegalCut("names no layer")
    graph = Graph(model, opened={parent for name in (*cut, *second_cut) for parent in _parents(name)})
    second = _nodes(graph, second_cut) if second_cut else None
    return find_sections(graph, _nodes(graph, cut), second), graph


def _nodes(graph: Graph, names: Sequence[str]) -> list[Any]:
    nodes = []
    for name in names:
        found = [node for node in graph.nodes if graph.paths[node] == name]
        if not found:
            raise IllegalCut(f"is not possible: there is no layer {name!r}")
        nodes += found
    return nodes


def _legal(model: keras.Model, first: tuple[str, ...]) -> Iterator[tuple[str, Sections]]:
    for name in _candidates(model):
        try:
            cuts = (first, (name,)) if first else ((name,), ())
            yield name, resolve(model, *cuts)[0]
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


def _describe(name: str, sections: Sections, flops: Flops) -> Cut:
    client, server = [*sections.head, *sections.tail], sections.body
    client_flops = flops.of(client)
    client_parameters = _parameters(client)
    crossing = sections.frontier.tensors
    if sections.second_frontier is not None:
        read = sections.second_frontier.tensors
        crossing = read[: len(read) - sections.kept]
    return Cut(
        name=name,
        shapes=tuple(tuple(tensor.shape) for tensor in crossing),
        bytes_per_sample=_bytes_per_sample(crossing),
        client_parameters=client_parameters,
        client_flops=client_flops,
        parameter_share=_share(client_parameters, _parameters(server)),
        flops_share=_share(client_flops, flops.of(server)),
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


def _row(cut: Cut) -> tuple[str, ...]:
    return (
        cut.name,
        " + ".join(map(_shape, cut.shapes)),
        "varies" if cut.bytes_per_sample is None else f"{cut.bytes_per_sample:,}",
        f"{cut.client_parameters:,}",
        percent(cut.parameter_share),
        short(cut.client_flops),
        percent(cut.flops_share),
    )


def _shape(shape: tuple[int | None, ...]) -> str:
    """Of one sample."""
    return "x".join("?" if size is None else str(size) for size in shape[1:]) or "scalar"
