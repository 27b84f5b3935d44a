"""What hostile peers send: nearly right JSON, and honest documents with changes."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

MIB = 1 << 20

leaves = st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=4)
json_values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["dict", "list", "tuple", "a", ""]), inner, max_size=2)
    ),
    max_leaves=20,
)
json_texts = (
    json_values.map(json.dumps)
    | st.text(max_size=30)
    | st.integers(1, 5000).map(lambda depth: "[" * depth + "]" * depth)
    | st.integers(1, 3000).map(lambda depth: '{"list":[' * depth + "0" + "]}" * depth)
    | st.sampled_from(["1e999", "-Infinity", "NaN", '"\\ud800"', "9" * 5000, "[0", '{"list": 3}', "true"])
)


def bounded(work: Callable[[], Any], most: int) -> Any:
    """What work returns, if it took no more memory than that at any moment."""
    tracemalloc.start()
    try:
        return work()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most, f"{peak} bytes"


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested lists and dicts that holds something."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


@st.composite
def changed(draw: Any, honest: Any) -> Any:
    """An honest document in which one to three places hold something else, or nothing, or too much."""
    document = copy.deepcopy(honest)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(document))
        if found:
            holder, key = found[draw(st.integers(0, len(found) - 1))]
            _change(holder, key, draw(st.sampled_from(["replace", "drop", "repeat", "move"])), draw, found)
    return document


def _change(holder: Any, key: Any, how: str, draw: Any, found: list[tuple[Any, Any]]) -> None:
    if how == "drop":
        del holder[key]
    elif how == "repeat" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif how == "move":
        other, place = found[draw(st.integers(0, len(found) - 1))]
        holder[key] = copy.deepcopy(other[place])
    else:
        holder[key] = draw(st.sampled_from(JUNK) | json_values)


JUNK: list[Any] = [None, True, -1, 0, 1 << 40, 1 << 70, 0.5, 1e308, "", "relu", "a/b", "\ud800", [], [[]], {}]
