"""What is known of a tensor before it exists: shape, dtype, and what raw data it still shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from keras_split.topology.shapes import Shape, elements

_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Trace:
    """What a tensor shows of the model's inputs.

    Args:
        raw: Inputs from which a path without a mixing layer leads here.
        masks: Inputs whose padding mask is here, and nothing else of them.
        source: The input that this tensor is, unchanged.
        bits: The input that this tensor compares with a mask value, element by element.
        copies: How often, at most, a raw value stands here, with constants counted as copies.
    """

    raw: frozenset[str] = _NOBODY
    masks: frozenset[str] = _NOBODY
    source: str | None = None
    bits: str | None = None
    copies: Fraction = Fraction(1)

    @classmethod
    def together(cls, traces: Iterable[Trace]) -> Trace:
        """What all of them show; a combination is no longer an unchanged input."""
        many = list(traces)
        return cls(
            _NOBODY.union(*(trace.raw for trace in many)),
            _NOBODY.union(*(trace.masks for trace in many)),
        )


@dataclass(frozen=True)
class Value:
    """One tensor of the graph."""

    shape: Shape
    dtype: str
    trace: Trace = Trace()

    def at(self, shape: Shape) -> Value:
        """The same contents in another shape; no longer an unchanged input."""
        return Value(shape, self.dtype, replace(self.trace, source=None, bits=None))

    def bytes(self) -> int:
        """Size of one sample; mixed precision keeps copies, so nothing counts below 4."""
        return elements(self.shape) * (8 if self.dtype.endswith("64") else 4)
