"""Rows of a user's data, dealt out to several data owners."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from keras import tree

# Arguments of `fit` that have a value for each row.
_BY_ROW = ("x", "y", "sample_weight")


def shards_of(arguments: dict[str, Any], clients: int) -> list[dict[str, Any]]:
    """Neighbouring rows for each client, the first one the fewest and the last one nearly twice as many.

    Args:
        arguments: Of `fit`.
        clients: How many.

    Raises:
        ValueError: No arrays, or too few rows.
    """
    given = {name: arguments[name] for name in _BY_ROW if arguments.get(name) is not None}
    rows = _rows(given)
    if rows < 2 * clients:
        raise ValueError(f"{clients} clients need two rows each. Received: {rows} rows.")
    bounds = _bounds(rows, clients)
    return [_cut(given, slice(*each)) for each in pairwise(bounds)]


def _bounds(rows: int, clients: int) -> list[int]:
    weights = range(clients, 2 * clients)
    return [0, *(rows * each // sum(weights) for each in accumulate(weights))]


def _rows(given: dict[str, Any]) -> int:
    sizes = {_size(each) for each in tree.flatten(list(given.values()))}
    if len(sizes) != 1:
        raise ValueError(f"Arrays for `fit` have one number of rows. Received: {sorted(sizes)}.")
    return sizes.pop()


def _size(array: Any) -> int:
    shape: Sequence[int] | None = getattr(array, "shape", None)
    if not shape:
        raise ValueError(
            "Rows can be dealt out to several clients only of arrays: pass NumPy arrays, tensors or data "
            f"frames in place of data sets and lists of numbers. Received: {type(array).__name__}."
        )
    return int(shape[0])


def _cut(given: dict[str, Any], rows: slice) -> dict[str, Any]:
    return {name: tree.map_structure(lambda array: array[rows], each) for name, each in given.items()}
