"""Digests of every variable of a model, under the same names whole and split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_split.partition import Part, named_variables, shown_names
from keras_split.state import slots_of

# Side, and a name that depends on the variable's place in the model and not on what Keras has counted.
Key = tuple[str, str]
Digests = dict[Key, str]


@dataclass(frozen=True)
class Named:
    """Variables of a model that is not split, as if it were, or of one side.

    Args:
        variables: By side and name.
        shown: The same names as people know them.
    """

    variables: dict[Key, Any]
    shown: dict[Key, str]

    def digests(self, *sides: str) -> Digests:
        """As the variables are now; of some sides, or of all."""
        return {key: digest(each) for key, each in self.variables.items() if not sides or key[0] in sides}


def named(sides: Mapping[str, Sequence[Part]], optimizer: Any) -> Named:
    """All variables of some parts, with those of their optimizer.

    Args:
        sides: Side to its parts of the model.
        optimizer: Of all their weights, and perhaps of others; built.
    """
    variables: dict[Key, Any] = {}
    shown: dict[Key, str] = {}
    slots = slots_of(optimizer, optimizer._trainable_variables)
    for side, parts in sides.items():
        own = _variables(parts)
        names = {name: each for part in parts for name, each in shown_names(part.model).items()}
        owners = {id(each): name for name, each in own.items()}
        variables.update({(side, name): each for name, each in own.items()})
        shown.update({(side, name): names[name] for name in own})
        for slot, variable in zip(slots, optimizer.variables, strict=True):
            if slot.owner is None or id(slot.owner) in owners:
                name = "" if slot.owner is None else owners[id(slot.owner)]
                variables[side, slot.under(name)] = variable
                shown[side, slot.under(name)] = slot.under(names.get(name, ""))
    return Named(variables, shown)


def server_slots(body: Sequence[Part], optimizer: Any) -> list[str]:
    """Names of the server's optimizer variables, in its order, from an optimizer like the server's."""
    owners = {id(each): name for name, each in _variables(body).items()}
    trained = [each for part in body for each in part.model.trainable_variables]
    return [each.under(owners.get(id(each.owner), "")) for each in slots_of(optimizer, trained)]


def digests_of_server(found: Mapping[str, str], slots: Sequence[str]) -> Digests:
    """Of the server's variables, those of its optimizer under the names that they have in the whole model.

    Args:
        found: Digests by the names that the server has for them.
        slots: As `server_slots` gives them.
    """
    own = [name for name in found if name.startswith("optimizer/")]
    named_slots = {slot: found[name] for slot, name in zip(slots, own, strict=True)}
    others = {name: each for name, each in found.items() if name not in own}
    return {("server", name): each for name, each in {**others, **named_slots}.items()}


def digest(variable: Any) -> str:
    """SHA-256 of a variable's bytes."""
    return hashlib.sha256(np.asarray(variable).tobytes()).hexdigest()


def _variables(parts: Sequence[Part]) -> dict[str, Any]:
    return {name: each for part in parts for name, each in named_variables(part.model).items()}
