"""What the tensors of graphs are computed from, such that equal expressions have equal bits.

Two graphs of the same model differ in much that changes no bit: shapes that are constants in the one and computed
in the other, addends of two that have changed places, a copy. An expression leaves that out. It keeps what
TensorFlow's optimizer may have done otherwise: which operations there are, and in which order more than two
numbers are added or multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import tensor_util

from keras_split.exactness.graph import Graph, Ref, dtype_of

# An expression: equal for equal ones, of all graphs of one `Expressions`.
Expression = int

_SAME_VALUES = {
    *("Identity", "EnsureShape", "StopGradient", "PreventGradient", "DeepCopy", "Snapshot", "CheckNumerics"),
    *("Reshape", "ExpandDims", "Squeeze", "BroadcastTo", "Enter"),
}
_OF_SHAPES = {"Shape", "ShapeN", "Size", "Rank", "BroadcastGradientArgs", "Range", "ConcatOffset"}
_COMMUTATIVE = {"Maximum", "Minimum", "Equal", "NotEqual", "SquaredDifference", "LogicalAnd"}
# Of which the optimizer makes the one of the other.
_SAME_KIND = {"Add": "AddV2"}
# Attributes that say what is known of shapes, or how to run.
_IDLE = {
    "token",
    *("output_shapes", "shape", "validate_shape", "parallel_iterations", "index_type", "is_constant"),
    *("Tshape", "Tdim", "Tidx", "Tpaxis", "Taxis", "Tperm", "Tmultiples", "Tlen", "Tpaddings"),
}
_SHAPE = "a shape"
# Which round nothing, so that it does not matter whether they are a part of the operation before.
_EXACT_ACTIVATIONS = (b"Relu", b"Relu6")


class Place(NamedTuple):
    """A tensor in one of several graphs."""

    graph: str
    tensor: Ref


class Numbers:
    """Of expressions: equal ones have one number, whatever graphs they are in."""

    def __init__(self) -> None:
        self._numbers: dict[Any, Expression] = {}
        self._parts: list[Any] = []

    def of(self, *parts: Any) -> Expression:
        """The number of an expression that is made of these."""
        if parts not in self._numbers:
            self._numbers[parts] = len(self._parts)
            self._parts.append(parts)
        return self._numbers[parts]

    def parts(self, expression: Expression) -> Any:
        """What it is made of."""
        return self._parts[expression]


class Expressions:
    """Of graphs that hand tensors to each other.

    Args:
        graphs: By name.
        handed: Where a tensor comes from another graph: the tensor there.
        given: What stands for tensors that come into a graph from elsewhere; equal for the same ones. Called with
            the graph's name and the tensor.
        numbers: Shared with other graphs that are to be compared.
    """

    def __init__(
        self,
        graphs: Mapping[str, Graph],
        handed: Mapping[Place, Place],
        given: Callable[[str, Ref], Any],
        numbers: Numbers,
    ):
        self._graphs = graphs
        self._handed = handed
        self._given = given
        self._numbers = numbers
        self._found: dict[Place, Expression] = {}

    def of(self, place: Place) -> Expression:
        """What a tensor is computed from."""
        waiting = [place]
        while waiting:
            each = waiting[-1]
            missing = [other for other in self._needs(each) if other not in self._found]
            if each in self._found or not missing:
                waiting.pop()
                if each not in self._found:
                    self._found[each] = self._made(each)
            else:
                waiting += missing
        return self._found[place]

    def writes(self, name: str) -> dict[Any, list[Any]]:
        """For what comes into a graph and is changed there: by which operations, and to what."""
        graph = self._graphs[name]
        found: dict[Any, list[Any]] = {}
        for operation, source in graph.writes():
            read = [self.of(Place(name, each)) for each in graph.inputs(operation)]
            found.setdefault(self._given(name, Ref(source)), []).append((graph.nodes[operation].op, *read))
        return {each: sorted(made) for each, made in found.items()}

    def _needs(self, place: Place) -> list[Place]:
        if place in self._handed:
            return [self._handed[place]]
        graph = self._graphs[place.graph]
        kind = graph.nodes[place.tensor.name].op
        read = graph.inputs(place.tensor.name)
        if kind in _OF_SHAPES or kind == "Const":
            return []
        if kind == "Merge" and _is_of_loop(graph, read):
            read = read[:1]
        if kind == "Exit":
            read = _loop(graph, read[0])
        return [Place(place.graph, each) for each in read]

    def _made(self, place: Place) -> Expression:
        if place in self._handed:
            return self._found[self._handed[place]]
        graph = self._graphs[place.graph]
        node = graph.nodes[place.tensor.name]
        read = [self._found[each] for each in self._needs(place)]
        if node.op in ("Placeholder", "_Arg", "IteratorGetNext"):
            return self._numbers.of("given", self._given(*place))
        if node.op == "Const":
            return self._constant(tensor_util.MakeNdarray(node.attr["value"].tensor))
        if node.op == "Merge" and len(read) == 1:
            return self._numbers.of("loop variable", read[0])
        if node.op == "Exit":
            return self._numbers.of("loop", *read)
        if node.op in _OF_SHAPES:
            return self._numbers.of(_SHAPE)
        if node.op == "IdentityN":
            return read[place.tensor.place]
        return self._operation(graph, node, place.tensor.place, read)

    def _operation(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression:
        kind = _SAME_KIND.get(node.op, node.op)
        if kind in _SAME_VALUES or (kind == "Sum" and _reduces_perhaps(graph, node)):
            return read[0]
        if kind == "Fill":
            return read[1]
        dtype = dtype_of(node, "dtype", "DstT", "output_type", "out_type", "T")
        if dtype is not None and dtype.is_integer and set(read) == {self._numbers.of(_SHAPE)}:
            return self._numbers.of(_SHAPE)
        if kind in ("ZerosLike", "OnesLike") and dtype != tf.variant:
            return self._constant(np.full(1, kind == "OnesLike").astype(dtype.as_numpy_dtype))
        if kind in ("Split", "SplitV"):
            joined = self._numbers.parts(read[kind == "Split"])
            if joined[0] == "ConcatV2" and len(joined) - 4 == node.attr["num_split"].i:
                return int(joined[3 + place])
        options = tuple(sorted(self._options(graph, node)))
        if kind in ("_FusedMatMul", "_FusedConv2D") and node.attr["fused_ops"].list.s[-1] in _EXACT_ACTIVATIONS:
            return self._unfused(graph, node, place, read)
        if kind == "_UnaryOpsComposition":
            return self._chain(node, read[0])
        if kind == "TanhGrad" and self._number(read[0]) == 0:
            return read[1]
        if kind == "AddN":
            return self._sum(read, graph.first_addend(node.name), dtype)
        if kind == "Square" and self._numbers.parts(read[0])[0] == "Sub":
            kind, read = "SquaredDifference", list(self._numbers.parts(read[0])[3:])
        if kind == "AddV2":
            return self._sum(read, 0, dtype)
        if kind == "Mul":
            return self._product(dtype, *read)
        if kind in _COMMUTATIVE:
            read = sorted(read)
        return self._numbers.of(kind, options, place, *read)

    def _unfused(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression:
        of_kind = ("T", node.attr["T"].SerializeToString(deterministic=True))
        bare = type(node)()
        bare.CopyFrom(node)
        activation = bare.attr["fused_ops"].list.s.pop()
        before = self._numbers.of(node.op, tuple(sorted(self._options(graph, bare))), place, *read)
        return self._numbers.of(activation.decode(), (of_kind,), 0, before)

    def _chain(self, node: Any, read: Expression) -> Expression:
        """One operation after the other, as they would be by themselves."""
        of_kind = ("T", node.attr["T"].SerializeToString(deterministic=True))
        for each in node.attr["op_names"].list.s:
            read = self._numbers.of(each.decode(), (of_kind,), 0, read)
        return read

    def _sum(self, addends: list[Expression], first: int, dtype: Any) -> Expression:
        addends[0], addends[first] = addends[first], addends[0]
        # To add nothing changes nothing, but a negative zero.
        addends = [each for each in addends if self._number(each) != 0] or addends[:1]
        found = addends[0]
        for each in addends[1:]:
            if each == found:
                twice = self._constant(np.full(1, 2).astype(dtype.as_numpy_dtype))
                found = self._product(dtype, twice, each)
            else:
                found = self._numbers.of("AddV2", dtype.name, 0, *sorted((found, each)))
        return found

    def _product(self, dtype: Any, one: Expression, other: Expression) -> Expression:
        """A product, with a power of two in front: to multiply by it rounds nothing, wherever it is done."""
        (power, one), (further, other) = self._without_power(dtype, one), self._without_power(dtype, other)
        unit = self._constant(np.full(1, 1).astype(dtype.as_numpy_dtype))
        rest = sorted(each for each in (one, other) if each != unit)
        found = self._numbers.of("Mul", dtype.name, 0, *rest) if len(rest) == 2 else (rest or [unit])[0]
        if power * further == 1:
            return found
        front = self._constant(np.full(1, power * further).astype(dtype.as_numpy_dtype))
        return front if found == unit else self._numbers.of("Mul", dtype.name, 0, front, found)

    def _without_power(self, dtype: Any, factor: Expression) -> tuple[float, Expression]:
        """The power of two in a factor, and the rest of it."""
        parts = self._numbers.parts(factor)
        if parts[0] == "constant":
            power = self._power_of_two(factor)
            unit = self._constant(np.full(1, 1).astype(dtype.as_numpy_dtype))
            return (1.0, factor) if power is None else (power, unit)
        power = self._power_of_two(parts[3]) if parts[0] == "Mul" else None
        return (1.0, factor) if power is None else (power, parts[4])

    def _power_of_two(self, expression: Expression) -> float | None:
        number = self._number(expression)
        return None if number is None or math.frexp(number)[0] != 0.5 else number

    def _constant(self, value: np.ndarray) -> Expression:
        if value.dtype.kind in "iu":
            return self._numbers.of(_SHAPE)
        first = value.reshape(-1)[:1].tobytes()
        # Of one number, the shape does not matter.
        values = first if value.tobytes() == first * value.size else value.tobytes()
        return self._numbers.of("constant", value.dtype.name, values)

    def _number(self, expression: Expression) -> float | None:
        """Of a floating-point constant that is the same everywhere."""
        parts = self._numbers.parts(expression)
        if parts[0] != "constant" or not tf.as_dtype(parts[1]).is_floating:
            return None
        value = np.frombuffer(parts[2], tf.as_dtype(parts[1]).as_numpy_dtype)
        return float(value[0]) if value.size == 1 else None

    def _options(self, graph: Graph, node: Any) -> list[tuple[str, Any]]:
        found = []
        for name, each in node.attr.items():
            if name.startswith("_") or name in _IDLE:
                continue
            if each.WhichOneof("value") == "func":
                found.append((name, self._function(graph, each.func.name)))
            else:
                found.append((name, each.SerializeToString(deterministic=True)))
        return found

    def _function(self, graph: Graph, name: str) -> Any:
        """What a function computes from its arguments."""
        if name not in graph.functions:
            return name.encode()
        body, arguments = graph.function(name)
        places = {each: at for at, each in enumerate(arguments)}

        def given(_: str, tensor: Ref) -> Any:
            return places.get(tensor.name, tensor.name)

        inner = Expressions({"": body}, {}, given, self._numbers)
        return repr([inner.of(Place("", each)) for each in body.results]).encode()


def _is_of_loop(graph: Graph, read: Sequence[Ref]) -> bool:
    return any(graph.nodes[each.name].op == "NextIteration" for each in read)


def _loop(graph: Graph, switched: Ref) -> list[Ref]:
    """What a loop's variable begins with, what becomes of it in a round, and how long the loop goes on."""
    merge, condition = graph.inputs(switched.name)
    entered, again = graph.inputs(merge.name)
    return [entered, *graph.inputs(again.name), condition]


def _reduces_perhaps(graph: Graph, node: Any) -> bool:
    """Whether it only takes back a broadcasting that there may not have been, and knows that when it runs."""
    axes = graph.inputs(node.name)[1]
    return graph.nodes[axes.name].op == "BroadcastGradientArgs"
