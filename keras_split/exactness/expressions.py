"""What the tensors of graphs are computed from, such that equal expressions have equal bits.

Two graphs of the same model differ in much that changes no bit: shapes that are constants in the one and
computed in the other, two addends that have changed places, a copy. An expression leaves that out. It keeps
what TensorFlow's optimizer may have done otherwise: which operations there are, and in which order more than
two numbers are added or multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import tensor_util

from keras_split.exactness.graph import Graph, Ref

# An expression: equal for equal ones, of all graphs of one `Expressions`.
Expression = int

_SAME_VALUES = {
    *("Identity", "EnsureShape", "StopGradient", "PreventGradient", "DeepCopy", "Snapshot", "CheckNumerics"),
    *("Reshape", "ExpandDims", "Squeeze", "BroadcastTo", "Enter"),
}
_OF_SHAPES = {"Shape", "ShapeN", "Size", "Rank", "BroadcastGradientArgs", "Range", "ConcatOffset"}
_COMMUTATIVE = {
    *("Maximum", "Minimum", "Equal", "NotEqual"),
    *("LogicalAnd", "LogicalOr", "BitwiseAnd", "BitwiseOr", "BitwiseXor"),
}
# Of which the optimizer makes the one of the other.
_SAME_KIND = {"Add": "AddV2"}
# Attributes that say what is known of shapes, or how to run.
_IDLE = {
    "token",
    *("output_shapes", "shape", "validate_shape", "parallel_iterations", "index_type", "is_constant"),
    *("Tshape", "Tdim", "Tidx", "Tpaxis", "Taxis", "Tperm", "Tmultiples", "Tlen", "Tpaddings"),
}
# Of matrix products and convolutions, fused or not.
_OF_PRODUCTS = {
    *("T", "transpose_a", "transpose_b"),
    *("strides", "padding", "data_format", "dilations", "explicit_paddings"),
}
# Fused, what rounds as it does by itself; a tanh, a sigmoid or an elu rounds otherwise.
_ROUND_NOTHING = ([b"BiasAdd"], [b"BiasAdd", b"Relu"], [b"BiasAdd", b"Relu6"])
_SHAPE = "a shape"


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
        given: What stands for tensors that come into a graph from elsewhere, equal for the same ones. Called
            with the graph's name and the tensor.
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
        if _makes_integers(node) and set(read) == {self._numbers.of(_SHAPE)}:
            return self._numbers.of(_SHAPE)
        rule = _RULES.get(kind)
        found = None if rule is None else rule(self, graph, node, place, read)
        return self._as_it_is(graph, node, place, read) if found is None else found

    def _as_it_is(
        self, graph: Graph, node: Any, place: int, read: Sequence[Expression], kind: str = ""
    ) -> Expression:
        kind = kind or node.op
        options = tuple(sorted(self._options(graph, node)))
        return self._numbers.of(kind, options, place, *(sorted(read) if kind in _COMMUTATIVE else read))

    def _fill(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression:
        return read[1]

    def _alike(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression | None:
        dtype = tf.as_dtype(node.attr["T"].type)
        if dtype == tf.variant:
            return None
        return self._constant(np.full(1, node.op == "OnesLike").astype(dtype.as_numpy_dtype))

    def _split(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression | None:
        """What was joined before, as the rows of the tensors that cross a cut."""
        joined = self._numbers.parts(read[node.op == "Split"])
        whole = joined[0] == "ConcatV2" and len(joined) - 4 == node.attr["num_split"].i
        return joined[3 + place] if whole else None

    def _unfused(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression | None:
        """A bias, and an activation that rounds nothing, may be a part of the operation before, or not."""
        fused = list(node.attr["fused_ops"].list.s)
        if fused not in _ROUND_NOTHING or len(read) != 3:
            return None
        kind = node.op.removeprefix("_Fused")
        options = [each for each in self._options(graph, node) if each[0] in _OF_PRODUCTS]
        found = self._numbers.of(kind, tuple(sorted(options)), place, *read[:2])
        found = self._applied(b"BiasAdd", node, found, read[2])
        return found if len(fused) == 1 else self._applied(fused[1], node, found)

    def _linear(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression:
        options = [each for each in self._options(graph, node) if each[0] in _OF_PRODUCTS]
        return self._numbers.of(node.op, tuple(sorted(options)), place, *read)

    def _bias(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression:
        return self._applied(b"BiasAdd", node, *read)

    def _power(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression | None:
        return read[0] if self._number(read[1]) == 1 else None

    def _transposed(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression | None:
        """There and back."""
        parts = self._numbers.parts(read[0])
        return parts[3] if parts[0] == "Transpose" else None

    def _chain(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression:
        """One operation after the other, as they would be by themselves."""
        found = read[0]
        for each in node.attr["op_names"].list.s:
            found = self._applied(each, node, found)
        return found

    def _applied(self, kind: bytes, node: Any, *read: Expression) -> Expression:
        options = (("T", node.attr["T"].SerializeToString(deterministic=True)),)
        return self._numbers.of(kind.decode(), options, 0, *read)

    def _of_tanh(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression | None:
        """At zero it is the gradient that it gets; arriving gradients are given their shape so."""
        return read[1] if self._number(read[0]) == 0 else None

    def _square(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression:
        parts = self._numbers.parts(read[0])
        if parts[0] == "Sub":
            return self._squared(parts[1], parts[3:])
        return self._product(tf.as_dtype(node.attr["T"].type), read[0], read[0])

    def _difference(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression:
        options = (("T", node.attr["T"].SerializeToString(deterministic=True)),)
        return self._squared(options, read)

    def _squared(self, options: Any, read: Sequence[Expression]) -> Expression:
        return self._numbers.of("SquaredDifference", options, 0, *sorted(read))

    def _sum(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression:
        """From the first addend to the last; to add a zero changes nothing, but a negative zero."""
        dtype = tf.as_dtype(node.attr["T"].type)
        first = graph.first_addend(node.name) if node.op == "AddN" else 0
        read[0], read[first] = read[first], read[0]
        addends = [each for each in read if self._number(each) != 0] or read[:1]
        found = addends[0]
        for each in addends[1:]:
            if each == found:
                found = self._product(dtype, self._same(2, dtype), each)
            else:
                found = self._numbers.of("AddV2", dtype.name, 0, *sorted((found, each)))
        return found

    def _times(self, graph: Graph, node: Any, place: int, read: list[Expression]) -> Expression:
        return self._product(tf.as_dtype(node.attr["T"].type), *read)

    def _product(self, dtype: Any, one: Expression, other: Expression) -> Expression:
        """A product, with a power of two in front: to multiply by it rounds nothing, wherever it is done."""
        (power, one), (further, other) = self._without_power(dtype, one), self._without_power(dtype, other)
        unit = self._same(1, dtype)
        rest = sorted(each for each in (one, other) if each != unit)
        found = self._numbers.of("Mul", dtype.name, 0, *rest) if len(rest) == 2 else (rest or [unit])[0]
        if power * further == 1:
            return found
        front = self._same(power * further, dtype)
        return front if found == unit else self._numbers.of("Mul", dtype.name, 0, front, found)

    def _without_power(self, dtype: Any, factor: Expression) -> tuple[float, Expression]:
        """The power of two in a factor, and the rest of it."""
        parts = self._numbers.parts(factor)
        if parts[0] == "constant":
            power = self._power_of_two(factor)
            return (1.0, factor) if power is None else (power, self._same(1, dtype))
        power = self._power_of_two(parts[3]) if parts[0] == "Mul" else None
        return (1.0, factor) if power is None else (power, parts[4])

    def _power_of_two(self, expression: Expression) -> float | None:
        number = self._number(expression)
        return None if number is None or math.frexp(number)[0] != 0.5 else number

    def _same(self, number: float, dtype: Any) -> Expression:
        """A constant that is the same number everywhere."""
        return self._constant(np.full(1, number).astype(dtype.as_numpy_dtype))

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


def _makes_integers(node: Any) -> bool:
    named = ("dtype", "DstT", "output_type", "out_type", "T")
    dtype = next((tf.as_dtype(node.attr[name].type) for name in named if name in node.attr), None)
    return dtype is not None and dtype.is_integer


# For kinds of operations what is to be seen in them in place of them; None where it is nothing else.
_RULES: dict[str, Callable[[Expressions, Graph, Any, int, list[Expression]], Expression | None]] = {
    "Fill": Expressions._fill,
    "ZerosLike": Expressions._alike,
    "OnesLike": Expressions._alike,
    "Split": Expressions._split,
    "SplitV": Expressions._split,
    "MatMul": Expressions._linear,
    "Conv2D": Expressions._linear,
    "BiasAdd": Expressions._bias,
    "Pow": Expressions._power,
    "Transpose": Expressions._transposed,
    "_FusedMatMul": Expressions._unfused,
    "_FusedConv2D": Expressions._unfused,
    "_UnaryOpsComposition": Expressions._chain,
    "TanhGrad": Expressions._of_tanh,
    "Square": Expressions._square,
    "SquaredDifference": Expressions._difference,
    "AddN": Expressions._sum,
    "AddV2": Expressions._sum,
    "Mul": Expressions._times,
}
