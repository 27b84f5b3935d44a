"""How far raw data gets: which inputs each tensor still shows, layer by layer.

A layer that mixes, with weights of the client's, ends the trace of its data inputs: each of its outputs
must weigh at least two raw values. Everything else hands the traces on: pooling, normalising, scaling
or reordering raw data leaves it readable. Copies of a value, and constants beside it, count as no
further values; so a layer over `[x, x]` only scales.
The one exception is a padding mask, which Keras itself derives from the raw input. Only these
forms of it count as one; any other comparison would hand out the data bit by bit:

- of an `Embedding`: integers of shape (batch, tokens), compared with 0;
- of a `Masking`: numbers of shape (batch, steps, features), compared with one value, reduced over the
  features.

Keras makes these two masks by itself as well, without a node in the config, and hands them on behind
the layer; so these layers must stand right behind the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from keras_split.topology.calls import leaves
from keras_split.topology.checks import Refusal
from keras_split.topology.parts import Arguments, Part
from keras_split.topology.rules import Kind, Signature
from keras_split.topology.shapes import Shape, elements, text
from keras_split.topology.values import Trace, Value


class Leaks:
    """Traces through one model.

    Args:
        inputs: The model's own inputs by name.
        mixing: As in `TopologyLimits`.
    """

    def __init__(self, inputs: dict[str, Value], mixing: str) -> None:
        self._inputs = inputs
        self._is_watched = mixing != "none"
        self._mask_values: dict[str, float] = {}

    def through(self, part: Part, arguments: Arguments, window: int, shapes: Sequence[Shape]) -> Trace:
        """What the outputs of one call show.

        Args:
            part: The layer or operation.
            arguments: Structures of values by name.
            window: Values that each output weighs with weights that the client chose; else 0.
            shapes: Of the outputs.
        """
        operation = part.kind if part.is_operation else ""
        if operation in ("ZerosLike", "OnesLike"):
            return Trace()
        if self._is_watched and not part.is_operation:
            self._own_mask(part, arguments)
        mask = self._mask(operation, arguments)
        if mask is not None:
            return mask
        data = _data(part.rule.call, arguments)
        hides = self._are_words(data) if part.kind == "Embedding" else self._hides(data, window)
        mixes = bool(window) and hides
        trace = _carried(part.rule.call, arguments, mixes)
        return replace(trace, copies=_copies(data, shapes)) if trace.raw else trace

    def _hides(self, data: list[Value], window: int) -> bool:
        """Whether each output is made of two raw values at least; a single number has no second."""
        raw = [value for value in data if value.trace.raw]
        return all(
            window >= 2 * value.trace.copies or all(self._is_one_number(name) for name in value.trace.raw)
            for value in raw
        )

    def _is_one_number(self, name: str) -> bool:
        return elements(self._inputs[name].shape) == 1

    def _are_words(self, data: list[Value]) -> bool:
        """An embedding replaces value by value, which on an image changes its colours and nothing else."""
        origins = [self._inputs[name] for value in data for name in value.trace.raw]
        return all(len(each.shape) <= (3 if "int" in each.dtype else 2) for each in origins)

    def _own_mask(self, part: Part, arguments: Arguments) -> None:
        """The mask that a layer makes without being asked.

        Raises:
            Refusal: It would show more of an input than its padding.
        """
        is_masking = part.kind == "Masking"
        if not is_masking and not (part.kind == "Embedding" and part.options.get("mask_zero", False)):
            return
        data: Value = arguments["inputs"]
        if not data.trace.raw:
            return
        rank = 3 if is_masking else 2
        if data.trace.source is None or len(data.shape) != rank:
            raise Refusal(
                f"its mask would show the raw input {min(data.trace.raw)!r} of {text(data.shape)}. Allowed: "
                f"right behind an input of rank {rank}"
            )
        self._one_value(data.trace.source, part.options.get("mask_value", 0.0) if is_masking else 0.0)

    def _mask(self, operation: str, arguments: Arguments) -> Trace | None:
        if operation == "NotEqual":
            return self._compared(arguments["x1"], arguments["x2"])
        if operation == "Any":
            bits = arguments["x"].trace.bits
            return None if bits is None else Trace(masks=frozenset([bits]))
        return None

    def _compared(self, tensor: Any, constant: Any) -> Trace | None:
        if not isinstance(tensor, Value) or isinstance(constant, Value):
            return None
        source = tensor.trace.source
        if source is None:
            return None
        self._one_value(source, constant)
        return self._mask_of(source, constant)

    def _one_value(self, source: str, constant: float) -> None:
        if self._mask_values.setdefault(source, constant) != constant:
            raise Refusal(
                f"input {source!r} would be compared with {constant} and with "
                f"{self._mask_values[source]}. Allowed: one mask value for each input"
            )

    def _mask_of(self, source: str, constant: float) -> Trace | None:
        origin = self._inputs[source]
        if "int" in origin.dtype:
            is_padding = len(origin.shape) == 2 and constant == 0
            return Trace(masks=frozenset([source])) if is_padding else None
        has_features = len(origin.shape) == 3
        return Trace(raw=frozenset([source]), bits=source) if has_features else None


def _carried(call: Signature, arguments: Arguments, mixes: bool) -> Trace:
    """A state passes a masked step unchanged, so only data inputs are mixed."""
    kinds = dict(call)
    carried = (
        value.trace
        for name, argument in arguments.items()
        if not mixes or kinds[name] is Kind.STATE
        for value in leaves(argument, Value)
    )
    return Trace.together(carried)


def _data(call: Signature, arguments: Arguments) -> list[Value]:
    """The tensors that a call computes with, each once."""
    kinds = dict(call)
    found = (
        value
        for name, argument in arguments.items()
        if kinds[name] not in (Kind.STATE, Kind.MASK)
        for value in leaves(argument, Value)
    )
    return list({id(value): value for value in found}.values())


def _copies(data: list[Value], shapes: Sequence[Shape]) -> Fraction:
    """How often a raw value may stand in the largest output.

    Outputs larger than the raw data in them hold copies or constants. Smaller ones may be a part that
    holds more of these than the whole.
    """
    raw = sorted((value for value in data if value.trace.raw), key=lambda value: -elements(value.shape))
    seen: set[str] = set()
    distinct = 0
    for value in raw:
        if seen.isdisjoint(value.trace.raw):
            distinct += elements(value.shape)
        seen |= value.trace.raw
    before = max((value.trace.copies for value in raw), default=Fraction(1))
    size = max(map(elements, shapes), default=0)
    if not distinct or not size or (size < distinct and before == 1):
        return before
    return before * max(Fraction(size, distinct), Fraction(distinct, size))
