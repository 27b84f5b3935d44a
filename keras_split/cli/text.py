"""Tables and numbers for people."""

from __future__ import annotations

from collections.abc import Sequence

import click

from keras_split.columns import aligned

_GAP = "   "


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers.

    Args:
        head: Titles of the columns.
        rows: Cells, as many as titles.
    """
    first, rule, *lines = aligned(head, rows)
    return "\n".join([click.style(first, bold=True), click.style(rule, dim=True), *lines])


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and values, one pair per line."""
    width = max(len(name) for name, _ in pairs)
    named = [(click.style(name.ljust(width), dim=True), value) for name, value in pairs]
    return "\n".join(f"{name}{_GAP}{value}" for name, value in named)


def grouped(digest: str) -> str:
    """A digest in groups of eight digits, to be read aloud."""
    return " ".join(digest[at : at + 8] for at in range(0, len(digest), 8))


def duration(seconds: float) -> str:
    """The two largest units: `3 h 12 min`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((at for at, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])
