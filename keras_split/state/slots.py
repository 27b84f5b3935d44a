"""Whose an optimizer's variables are."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_split.naming import stem

_PLACE = re.compile(r"__place_(\d+)__")


@dataclass(frozen=True)
class Slot:
    """One of an optimizer's variables.

    Args:
        owner: The weight whose slot it is; None for what belongs to no weight.
        place: Which of its owner's it is.
        name: Of the slot.
    """

    owner: Any
    place: int
    name: str

    def under(self, owner: str) -> str:
        """A name for it below the owner's."""
        return "/".join(filter(None, ("optimizer", owner, f"{self.place}:{self.name}")))


def slots_of(optimizer: Any, variables: Sequence[Any]) -> list[Slot]:
    """What the variables are of an optimizer that is built for some weights.

    Keras names a slot after its weight, and two weights may have one name. So a twin of the optimizer is
    built for weights of as many dimensions that have their places in their names.

    Args:
        optimizer: Built.
        variables: In the order in which it was built for them.
    """
    twin = type(optimizer).from_config(optimizer.get_config())
    twin.build([_stand_in(each, at) for at, each in enumerate(variables)])
    found: list[Slot] = []
    for slot in twin.variables:
        place = _PLACE.search(slot.name)
        owner = variables[int(place[1])] if place else None
        name = slot.name[place.end() :].strip("_") if place else stem(slot.name)
        found.append(Slot(owner, sum(each.owner is owner for each in found), name))
    return found


def _stand_in(variable: Any, place: int) -> keras.Variable:
    with contextlib.ExitStack() as scopes:
        # Some optimizers go by what the path of a weight has in it.
        for each in variable.path.split("/"):
            scopes.enter_context(keras.name_scope(each))
        # What slots there are depends on the number of dimensions, and not on sizes.
        made = keras.Variable(
            "zeros",
            [min(size, 2) for size in variable.shape],
            variable.dtype,
            variable.trainable,
            name=f"{variable.name}__place_{place}__",
        )
    made.overwrite_with_gradient = getattr(variable, "overwrite_with_gradient", False)
    return made
