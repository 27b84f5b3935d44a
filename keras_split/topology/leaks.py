"""How far raw data gets: which inputs each tensor still shows, layer by layer.

A layer that mixes, with weights of the client's, ends the trace of its data inputs. Everything
else hands the traces on: pooling, normalising, scaling or reordering raw data leaves it readable.
The one exception is a padding mask, which Keras itself derives from the raw input. Only these
forms of it count as one; any other comparison would hand out the data bit by bit:

- of an `Embedding`: integers of shape (batch, tokens), compared with 0;
- of a `Masking`: numbers with a feature axis, compared with one value, reduced over that axis.
"""

from __future__ import annotations

from typing import Any

from keras_split.topology.calls import leaves
from keras_split.topology.checks import Refusal
from keras_split.topology.rules import Kind, Signature
from keras_split.topology.values import Trace, Value

Arguments = dict[str, Any]


class Leaks:
    """Traces through one model.

    Args:
        inputs: The model's own inputs by name.
    """

    def __init__(self, inputs: dict[str, Value]) -> None:
        self._inputs = inputs
        self._mask_values: dict[str, float] = {}

    def through(self, operation: str, call: Signature, arguments: Arguments, *, mixes: bool) -> Trace:
        """What the outputs of one call show.

        Args:
            operation: Name of the operation that the call executes; layers pass `""`.
            call: Kinds of the arguments.
            arguments: Structures of values by name.
            mixes: The call mixes its data inputs with weights that the client chose.
        """
        if operation in ("ZerosLike", "OnesLike"):
            return Trace()
        mask = self._mask(operation, arguments)
        return _carried(call, arguments, mixes) if mask is None else mask

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
        if self._mask_values.setdefault(source, constant) != constant:
            raise Refusal(
                f"input {source!r} would be compared with {constant} and with "
                f"{self._mask_values[source]}. Allowed: one mask value for each input"
            )
        return self._mask_of(source, constant)

    def _mask_of(self, source: str, constant: float) -> Trace | None:
        origin = self._inputs[source]
        if "int" in origin.dtype:
            is_padding = len(origin.shape) == 2 and constant == 0
            return Trace(masks=frozenset([source])) if is_padding else None
        has_features = len(origin.shape) > 2
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
