"""Digests of every variable of a model, under the same names whole and split."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_split.naming import stem
from keras_split.partition import Part, named_variables, shown_names

# Side, and a name that depends on the variable's place in the model and not on what Keras has counted.
Key = tuple[str, str]
Digests = dict[Key, str]

_PLACE = re.compile(r"__place_(\d+)__")


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
    slots = _slots(optimizer, optimizer._trainable_variables)
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
    return [each.under(owners.get(id(each.owner), "")) for each in _slots(optimizer, trained)]


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


@dataclass(frozen=True)
class _Slot:
    """One of an optimizer's variables: whose it is, or None for no weight's, and which of these."""

    owner: Any
    place: int
    name: str

    def under(self, owner: str) -> str:
        return "/".join(filter(None, ("optimizer", owner, f"{self.place}:{self.name}")))


def _variables(parts: Sequence[Part]) -> dict[str, Any]:
    return {name: each for part in parts for name, each in named_variables(part.model).items()}


def _slots(optimizer: Any, variables: Sequence[Any]) -> list[_Slot]:
    """What the variables are of an optimizer that is built for some weights.

    Keras names a slot after its weight, and two weights may have one name. So a twin of the optimizer is
    built for weights of the same shapes that have their places in their names.
    """
    twin = type(optimizer).from_config(optimizer.get_config())
    twin.build([_stand_in(each, at) for at, each in enumerate(variables)])
    found: list[_Slot] = []
    for slot in twin.variables:
        place = _PLACE.search(slot.name)
        owner = variables[int(place[1])] if place else None
        name = slot.name[place.end() :].strip("_") if place else stem(slot.name)
        found.append(_Slot(owner, sum(each.owner is owner for each in found), name))
    return found


def _stand_in(variable: Any, place: int) -> keras.Variable:
    with contextlib.ExitStack() as scopes:
        # Some optimizers go by what the path of a weight has in it.
        for each in variable.path.split("/"):
            scopes.enter_context(keras.name_scope(each))
        made = keras.Variable(
            "zeros",
            variable.shape,
            variable.dtype,
            variable.trainable,
            name=f"{variable.name}__place_{place}__",
        )
    made.overwrite_with_gradient = getattr(variable, "overwrite_with_gradient", False)
    return made
