"""Adds up what a topology would cost, in Python integers, and stops at the ceilings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from keras_split.topology.checks import MAX_RANK, Refusal
from keras_split.topology.limits import TopologyLimits
from keras_split.topology.parts import Part
from keras_split.topology.rules import Effect
from keras_split.topology.shapes import elements, text
from keras_split.topology.values import Value

_TENSORS_PER_CALL = 4


class Meter:
    """Parameters, activations and work of one topology, for one sample.

    Args:
        limits: Ceilings; exceeding one raises `Refusal`.
    """

    def __init__(self, limits: TopologyLimits) -> None:
        self._limits = limits
        self._built: set[Part] = set()
        self._times = 1
        self._calls = 0
        self._work = 0
        self.parameters = 0
        self.activation_bytes = 0

    @contextmanager
    def repeated(self, times: int) -> Iterator[None]:
        """Inside, everything happens so many times: once for each step of a sequence."""
        before, self._times = self._times, self._times * times
        try:
            yield
        finally:
            self._times = before

    def call(self, tensors: int) -> None:
        """Counts a call of so many tensors, as often as a step makes it."""
        self._calls += self._times
        self.handles(tensors)

    def handles(self, tensors: int) -> None:
        """Counts many tensors at one call like calls."""
        self._calls += self._times * (tensors // _TENSORS_PER_CALL)
        self._within("max_calls", self._calls, "calls of layers in one step")

    def ran(self, part: Part, effect: Effect, outputs: tuple[Value, ...]) -> None:
        """Counts the weights of a part, once, and the outputs of one of its calls."""
        if part not in self._built:
            self._built.add(part)
            self.parameters += effect.parameters
            self._within("max_parameters", self.parameters, "parameters")
        self.keep(outputs, effect.scratch)
        self._work += self._times * effect.parameters * _positions(outputs)
        self._within("max_multiplications", self._work, "multiplications for one sample")

    def keep(self, outputs: tuple[Value, ...], scratch: int = 0) -> None:
        """Counts tensors that one call holds."""
        for value in outputs:
            if not 1 <= len(value.shape) <= MAX_RANK + 1:
                raise Refusal(f"it makes {text(value.shape)}. Allowed: rank 1 to {MAX_RANK + 1}")
            for dim in value.shape:
                self._within("max_dim", dim.size, f"values in a dimension of {text(value.shape)}")
        self.activation_bytes += self._times * (sum(v.bytes() for v in outputs) + 4 * scratch)
        self._within("max_activation_bytes", self.activation_bytes, "bytes of activations")

    def _within(self, limit: str, found: int, what: str) -> None:
        allowed = getattr(self._limits, limit)
        if found > allowed:
            raise Refusal(
                f"it brings the model to {found} {what}. Allowed: {allowed}, which is "
                f"`TopologyLimits.{limit}`"
            )


def _positions(outputs: tuple[Value, ...]) -> int:
    """How often a kernel is applied: once for each output value beside the channels."""
    sizes = [elements(value.shape) // _channels(value) for value in outputs]
    return max(sizes, default=1)


def _channels(value: Value) -> int:
    """The smaller end, since either may hold the channels: an upper bound of the work."""
    inner = value.shape[1:]
    return min(inner[0].size, inner[-1].size) if inner else 1
