"""Cells in columns of plain text, and numbers in cells."""

from __future__ import annotations

from collections.abc import Sequence

_GAP = "   "


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines: the titles, a rule, and one for each row. The first column is text, the others are numbers.

    Args:
        head: Titles of the columns.
        rows: Cells, as many as titles.
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    first, *lines = (_line(cells, widths) for cells in (head, *rows))
    return [first, rule, *lines]


def short(number: float, unit: str = "") -> str:
    """Three digits and a prefix: 1234567 is `1.23 M`."""
    prefixes = ["", "k", "M", "G", "T"]
    while number >= 999.5 and len(prefixes) > 1:
        number /= 1000
        prefixes.pop(0)
    whole = prefixes[0] == "" and number == int(number)
    return f"{number:.{0 if whole else 3}{'f' if whole else 'g'}} {prefixes[0]}{unit}".rstrip()


def percent(share: float) -> str:
    """A share of 1 with one decimal."""
    return f"{100 * share:.1f} %"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return _GAP.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()
