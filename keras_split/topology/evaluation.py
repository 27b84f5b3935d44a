"""Runs a checked topology on shapes alone: what it costs, and how far raw data gets."""

from __future__ import annotations

from typing import Any

from keras_split.topology.calls import NEEDED, Reference, leaves, mapped
from keras_split.topology.checks import Options, Refusal
from keras_split.topology.leaks import Leaks
from keras_split.topology.limits import TopologyLimits
from keras_split.topology.masks import check_masks
from keras_split.topology.meter import Meter
from keras_split.topology.objects import policy_name
from keras_split.topology.parts import Arguments, Graph, Part
from keras_split.topology.reader import INPUT_RULE
from keras_split.topology.rules import Effect, Kind
from keras_split.topology.shapes import BATCH, Dim, Shape, text
from keras_split.topology.values import Trace, Value

_COMPUTE_DTYPES = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class Evaluation:
    """Unfolds one topology, call by call, in Keras' order.

    Args:
        model: The outermost model.
        limits: Ceilings.

    Raises:
        TopologyError: Shapes do not fit, or a ceiling is exceeded.
    """

    def __init__(self, model: Part, limits: TopologyLimits) -> None:
        assert model.graph is not None
        self._limits = limits
        self.meter = Meter(limits)
        # Outputs of each layer at its first call, and its parameters.
        self.ran: dict[Part, tuple[tuple[Value, ...], int]] = {}
        inputs = {
            name: self._input(part, Trace(raw=frozenset([name]), source=name))
            for name, part in model.graph.parts.items()
            if part.rule is INPUT_RULE
        }
        self._leaks = Leaks(inputs, limits.mixing)
        try:
            self.outputs = self._run(model.graph, inputs)
        except Refusal as refusal:
            raise model.refuse(refusal) from None

    def _input(self, part: Part, trace: Trace) -> Value:
        shape = part.options["batch_shape"]
        if shape[0] is not None:
            raise part.refuse(Refusal(f"its batch size is {shape[0]}. Allowed: null"))
        return Value(self._declared(shape), part.options["dtype"], trace)

    def _declared(self, shape: Any) -> Shape:
        """A shape from the config: the batch, then sizes, or the assumed one for null."""
        assumed = Dim(self._limits.assumed_dim, known=False)
        return (BATCH, *(assumed if size is None else Dim(size) for size in shape[1:]))

    def _run(self, graph: Graph | None, inputs: dict[str, Value]) -> Any:
        """The model's outputs, in its own structure."""
        assert graph is not None
        made: dict[tuple[str, int], tuple[Value, ...]] = {
            (name, 0): (value,) for name, value in inputs.items()
        }

        def resolve(leaf: Any) -> Any:
            if not isinstance(leaf, Reference):
                return leaf
            values = made[leaf.layer, leaf.node]
            if leaf.tensor >= len(values) or (graph.is_chain and len(values) != 1):
                raise Refusal(f"{leaf.layer!r} has {len(values)} outputs, not {leaf.tensor + 1}")
            return values[leaf.tensor]

        for name, node in graph.order:
            part, arguments = graph.parts[name], graph.calls[name][node].arguments
            try:
                given = mapped(arguments, resolve)
                made[name, node] = self._apply(part, given, graph.declared.get((name, node), {}))
            except Refusal as refusal:
                raise part.refuse(refusal) from None
        return mapped(graph.outputs, resolve)

    def _apply(self, part: Part, arguments: Arguments, declared: Any = None) -> tuple[Value, ...]:
        self.meter.call(sum(1 for _ in leaves(arguments, Value)))
        may_be_raw = self._limits.mixing == "none"
        check_masks(part.rule.call, part.options, arguments, may_be_raw=may_be_raw)
        if part.graph is not None:
            return self._model(part.graph, arguments)
        if part.kind == "TimeDistributed" and part.inner:
            return self._time_distributed(part, arguments)
        if part.kind == "Bidirectional" and part.inner:
            return self._bidirectional(part, arguments)
        return self._layer(part, arguments, declared)

    def _layer(self, part: Part, arguments: Arguments, declared: Any) -> tuple[Value, ...]:
        effect = part.rule.infer(part.options, _shapes(part, arguments))
        if part.is_custom:
            effect = self._custom(effect, arguments, declared)
        window = effect.window if part.trainable or self._limits.mixing != "trainable" else 0
        trace = self._leaks.through(part, arguments, window, effect.shapes)
        dtype = _dtype(part, arguments)
        outputs = tuple(Value(shape, dtype, trace) for shape in effect.shapes)
        self.meter.handles(len(outputs))
        self.meter.ran(part, effect, outputs)
        self.ran.setdefault(part, (outputs, effect.parameters))
        return outputs

    def _custom(self, effect: Effect, arguments: Arguments, declared: Any) -> Effect:
        """A layer of the client's own: the shapes that the config declares are believed."""
        first = next(leaves(arguments, Value)).shape
        last = max(declared, default=0)
        shapes = tuple(self._declared(declared[at]) if declared.get(at) else first for at in range(last + 1))
        return Effect(shapes, effect.parameters, effect.window)

    def _model(self, graph: Graph, arguments: Arguments) -> tuple[Value, ...]:
        given = _matched(graph, arguments["inputs"])
        inputs = {}
        for name, value in given.items():
            declared = self._input(graph.parts[name], Trace())
            shape = _refined(declared.shape, value.shape, name)
            inputs[name] = Value(shape, declared.dtype, value.trace)
        return tuple(leaves(self._run(graph, inputs), Value))

    def _inner(self, part: Part, arguments: Arguments) -> tuple[Value, ...]:
        """A call of a wrapped layer, whose refusal names it."""
        try:
            return self._apply(part, arguments, {})
        except Refusal as refusal:
            raise part.refuse(refusal) from None

    def _time_distributed(self, part: Part, arguments: Arguments) -> tuple[Value, ...]:
        inner, sequence, mask = part.inner[0], arguments["inputs"], arguments.get("mask")
        if len(sequence.shape) < 3:
            raise Refusal(f"it gets {text(sequence.shape)}. Allowed: rank 3 and more")
        (name, kind), *rest = inner.rule.call
        if kind not in (Kind.TENSOR, Kind.STRUCTURE) or any(each in NEEDED for _, each in rest):
            raise Refusal(f"its layer {inner.kind} does not take one tensor")
        step = {name: _one_step(sequence)}
        if mask is not None and "mask" in dict(rest):
            step["mask"] = mapped(mask, lambda leaf: leaf and _one_step(leaf))
        steps = sequence.shape[1]
        with self.meter.repeated(steps.size):
            outputs = self._inner(inner, step)
        if len(outputs) != 1:
            raise Refusal(f"its layer has {len(outputs)} outputs. Allowed: one")
        output = outputs[0]
        joined = (output.at((output.shape[0], steps, *output.shape[1:])),)
        self.meter.keep(joined)
        return joined

    def _bidirectional(self, part: Part, arguments: Arguments) -> tuple[Value, ...]:
        states = arguments.get("initial_state")
        halves: list[Any] = [None, None]
        if states is not None:
            if not isinstance(states, list) or len(states) % 2:
                raise Refusal("its initial_state is no list of one half for each direction")
            halves = [states[: len(states) // 2], states[len(states) // 2 :]]
        there, back = (
            self._inner(inner, {**arguments, "initial_state": half})
            for inner, half in zip(part.inner, halves, strict=True)
        )
        outputs = (*_merged(part.options.get("merge_mode", "concat"), there[0], back[0]),)
        self.meter.keep(outputs)
        return (*outputs, *there[1:], *back[1:])


def _shapes(part: Part, arguments: Arguments) -> dict[str, Any]:
    """Shapes in place of values; a number among operands has the shape of a scalar."""
    kinds = dict(part.rule.call)
    return {
        name: mapped(argument, _operand_shape if kinds[name] is Kind.OPERAND else _shape)
        for name, argument in arguments.items()
    }


def _shape(leaf: Any) -> Any:
    return leaf.shape if isinstance(leaf, Value) else leaf


def _operand_shape(leaf: Any) -> Shape:
    return leaf.shape if isinstance(leaf, Value) else ()


def _dtype(part: Part, arguments: Arguments) -> str:
    options: Options = part.options
    if part.rule.output_dtype == "bool":
        return "bool"
    if part.rule.output_dtype == "input":
        first = next(leaves(arguments, Value)).dtype
        return options.get("dtype") or first
    name = policy_name(options.get("dtype", "float32"))
    return _COMPUTE_DTYPES.get(name, name)


def _matched(graph: Graph, given: Any) -> dict[str, Value]:
    """Values by the name of the nested model's input that they go to."""
    names = [each.layer for each in leaves(graph.inputs, Reference)]
    if isinstance(given, dict) and not isinstance(graph.inputs, dict):
        if sorted(given) != sorted(names) or not all(isinstance(v, Value) for v in given.values()):
            raise Refusal(f"it is called on {sorted(given)}. Its inputs are {sorted(names)}")
        return given
    if _skeleton(given, Value) != _skeleton(graph.inputs, Reference):
        raise Refusal("it is called on a structure that is not that of its inputs")
    return dict(zip(names, leaves(given, Value), strict=True))


def _skeleton(structure: Any, kind: type) -> Any:
    """The structure without its leaves; a list of one is its element, as for Keras."""
    if isinstance(structure, list) and len(structure) == 1:
        return _skeleton(structure[0], kind)
    return mapped(structure, lambda leaf: isinstance(leaf, kind))


def _refined(declared: Shape, given: Shape, name: str) -> Shape:
    """What is known of a nested model's input from its config and from the call."""
    fits = len(declared) == len(given) and all(
        one.size == other.size or not (one.known and other.known)
        for one, other in zip(declared, given, strict=False)
    )
    if not fits:
        raise Refusal(f"its input {name!r} of {text(declared)} gets {text(given)}")
    return tuple(one if one.known else other for one, other in zip(declared, given, strict=True))


def _one_step(value: Value) -> Value:
    return value.at((value.shape[0], *value.shape[2:]))


def _merged(mode: str | None, there: Value, back: Value) -> list[Value]:
    trace = Trace.together([there.trace, back.trace])
    if mode is None:
        return [there, back]
    if there.shape[:-1] != back.shape[:-1]:
        raise Refusal(f"its directions give {text(there.shape)} and {text(back.shape)}")
    last = there.shape[-1]
    if mode == "concat":
        last = Dim(last.size + back.shape[-1].size, last.known)
    return [Value((*there.shape[:-1], last), there.dtype, trace)]
