"""How nested labels, weights and outputs are written beside their flat list of tensors.

JSON: `{"dict": {key: …}}`, `{"list": […]}`, `{"tuple": […]}`, null, or a number, the place in the list.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from keras_split.errors import ProtocolError

_MAX_TEXT = 1 << 16


def flatten_structure(structure: Any) -> tuple[list[Any], str]:
    """Splits a nest of dicts, lists and tuples into its leaves and a text that describes the nest."""
    leaves: list[Any] = []
    return leaves, json.dumps(_describe(structure, leaves))


def unflatten_structure(leaves: Sequence[Any], text: str) -> Any:
    """Undoes `flatten_structure`; raises `ProtocolError` on a text that it would not have written."""
    if len(text) > _MAX_TEXT:
        raise ProtocolError(f"A structure of {len(text)} characters; at most {_MAX_TEXT}.")
    try:
        return _rebuild(json.loads(text), leaves)
    except (ValueError, IndexError, TypeError, AttributeError, RecursionError):
        raise ProtocolError("The description of a nested structure makes no sense.") from None


def _describe(node: Any, leaves: list[Any]) -> Any:
    if node is None:
        return None
    if isinstance(node, dict):
        # Sorted, as Keras flattens dicts.
        return {"dict": {key: _describe(node[key], leaves) for key in sorted(node)}}
    if isinstance(node, (list, tuple)):
        kind = "tuple" if isinstance(node, tuple) else "list"
        return {kind: [_describe(child, leaves) for child in node]}
    leaves.append(node)
    return len(leaves) - 1


def _rebuild(node: Any, leaves: Sequence[Any]) -> Any:
    if node is None:
        return None
    if type(node) is int and node >= 0:
        return leaves[node]
    ((kind, children),) = node.items()
    if kind == "dict":
        return {key: _rebuild(child, leaves) for key, child in children.items()}
    if kind == "list":
        return [_rebuild(child, leaves) for child in children]
    if kind == "tuple":
        return tuple(_rebuild(child, leaves) for child in children)
    raise ValueError(kind)
