"""Digests of every variable of a model, under the same names whole and split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_split.partition import Part, named_variables

Digests = dict[tuple[str, str], str]


def whole_digests(parts: Mapping[str, Part], optimizer: Any) -> Digests:
    """Of an unsplit model, by (side, name), as if it were split.

    Args:
        parts: Side to the part of the model that would be there; they share its variables.
        optimizer: The model's.
    """
    found: Digests = {}
    for side, part in parts.items():
        variables = named_variables(part.model)
        found.update({(side, name): digest(each) for name, each in variables.items()})
        found.update({(side, name): digest(each) for name, each in _own_slots(part, optimizer).items()})
    return found


def part_digests(side: str, part: Part, optimizer: Any) -> Digests:
    """Of one half."""
    return whole_digests({side: part}, optimizer)


def slot_names(part: Part, optimizer: Any) -> list[str]:
    """Names of an optimizer's variables that belong to a part, in the optimizer's order."""
    return list(_own_slots(part, optimizer))


def digest(variable: Any) -> str:
    """SHA-256 of a variable's bytes."""
    return hashlib.sha256(np.asarray(variable).tobytes()).hexdigest()


def _own_slots(part: Part, optimizer: Any) -> dict[str, Any]:
    """Optimizer variables of a part's weights, and those of no weight (the count of updates).

    Keras names a slot after its weight's path. The order of slots within one weight, and of the rest,
    is the same for an optimizer over a part of the weights.
    """
    prefixes = {each.path.replace("/", "_"): name for name, each in named_variables(part.model).items()}
    others = {each.path.replace("/", "_") for each in optimizer._trainable_variables} - set(prefixes)
    found: dict[str, Any] = {}
    for variable in optimizer.variables:
        owner = _owner(variable.name, prefixes)
        if owner is None and _owner(variable.name, dict.fromkeys(others, "")) is not None:
            continue
        key = f"optimizer/{prefixes.get(owner or '', '')}{variable.name.removeprefix(owner or '')}"
        found[_unused(key, found)] = variable
    return found


def _owner(name: str, prefixes: Mapping[str, str]) -> str | None:
    matching = [prefix for prefix in prefixes if name.startswith(f"{prefix}_")]
    return max(matching, key=len, default=None)


def _unused(key: str, found: Mapping[str, Any]) -> str:
    return key if key not in found else f"{key}#{len(found)}"
