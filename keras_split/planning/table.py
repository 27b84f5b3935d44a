"""A plan as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence

from keras_split.columns import aligned
from keras_split.planning.planned import PlannedCut


def heading(cuts: Sequence[PlannedCut]) -> tuple[str, ...]:
    """Titles of the columns."""
    parts = (name.capitalize() for name in cuts[0].parts)
    return ("Cut", "Step, ms", *parts, "Bytes up", "Bytes down")


def rows(cuts: Sequence[PlannedCut]) -> list[tuple[str, ...]]:
    """Cells by cut: the step and its parts in milliseconds, and the bytes of its tensors."""
    digits = _digits(cuts)
    return [
        (
            each.name,
            *(f"{1e3 * seconds:,.{digits}f}" for seconds in (each.seconds, *each.parts.values())),
            f"{each.bytes_up:,}",
            f"{each.bytes_down:,}",
        )
        for each in cuts
    ]


def to_text(cuts: Sequence[PlannedCut]) -> str:
    """The table."""
    return "\n".join(aligned(heading(cuts), rows(cuts)))


def _digits(cuts: Sequence[PlannedCut]) -> int:
    """Decimals that tell the fastest cuts apart; one number of them, so that columns can be compared."""
    fastest = 1e3 * min(each.seconds for each in cuts)
    return sum(fastest < limit for limit in (10, 100, 1000))
