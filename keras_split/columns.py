"""Cells in columns of plain text."""

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


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return _GAP.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()
