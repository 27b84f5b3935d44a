"""Digests of every variable of a model, under the same names whole and split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_split.partition import Part, named_variables

Digests = dict[tuple[str, str], str]


def digests_of(sides: Mapping[str, Sequence[Part]], optimizer: Any) -> Digests:
    """Of a model that is not split, as if it were, or of one side.

    Args:
        sides: Side to its parts of the model.
        optimizer: Of all their weights, and perhaps of others.
    """
    found: Digests = {}
    for side, parts in sides.items():
        variables = _variables(parts)
        variables |= _own_slots(variables, optimizer)
        found.update({(side, name): digest(each) for name, each in variables.items()})
    return found


def server_slots(body: Sequence[Part], optimizer: Any) -> list[str]:
    """Names of the server's optimizer variables, from an optimizer like the server's."""
    like = type(optimizer).from_config(optimizer.get_config())
    like.build([each for part in body for each in part.model.trainable_variables])
    return list(_own_slots(_variables(body), like))


def digests_of_server(found: Mapping[str, str], slots: Sequence[str]) -> Digests:
    """Of the server's variables, those of its optimizer under the names that they have in the whole model.

    Args:
        found: Digests by the names that the server has for them.
        slots: As `server_slots` gives them.
    """
    own = [name for name in found if name.startswith("optimizer/")]
    named = {slot: found[name] for slot, name in zip(slots, own, strict=True)}
    others = {name: each for name, each in found.items() if name not in own}
    return {("server", name): each for name, each in {**others, **named}.items()}


def digest(variable: Any) -> str:
    """SHA-256 of a variable's bytes."""
    return hashlib.sha256(np.asarray(variable).tobytes()).hexdigest()


def _variables(parts: Sequence[Part]) -> dict[str, Any]:
    return {name: each for part in parts for name, each in named_variables(part.model).items()}


def _own_slots(variables: Mapping[str, Any], optimizer: Any) -> dict[str, Any]:
    """An optimizer's variables of these weights, and those of no weight (the count of updates).

    Keras names a slot after its weight's path. The order of slots within one weight, and of the rest,
    is the same for an optimizer over a part of the weights.
    """
    prefixes = {each.path.replace("/", "_"): name for name, each in variables.items()}
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
