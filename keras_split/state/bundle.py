"""All that a part of a model remembers: weights, optimizer variables, seed generators."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

Bundle = dict[str, np.ndarray]


def read(variables: Mapping[str, Any]) -> Bundle:
    """Copies variables into arrays, by name."""
    return {name: np.array(variable) for name, variable in variables.items()}


def write(variables: Mapping[str, Any], bundle: Mapping[str, np.ndarray]) -> None:
    """Assigns arrays to the variables of the same names: all of them or none.

    Raises:
        ValueError: A name is missing or unknown, or a shape or dtype differs.
    """
    if set(variables) != set(bundle):
        odd = sorted(set(variables) ^ set(bundle))
        raise ValueError(f"The state is of another model: it differs in {', '.join(odd[:5])}.")
    for name, variable in variables.items():
        _check(name, variable, bundle[name])
    for name, variable in variables.items():
        variable.assign(bundle[name])


def optimizer_variables(optimizer: Any) -> dict[str, Any]:
    """An optimizer's variables under names that two processes with the same part agree on."""
    if optimizer is None:
        return {}
    # Without the numbers that Keras gives to variables and layers that have no names of their own.
    names = [re.sub(r"_\d+(?=_|$)", "", each.name) for each in optimizer.variables]
    return {f"optimizer/{at}:{names[at]}": each for at, each in enumerate(optimizer.variables)}


def _check(name: str, variable: Any, array: np.ndarray) -> None:
    expected = (tuple(variable.shape), np.asarray(variable).dtype)
    if expected != (array.shape, array.dtype):
        raise ValueError(
            f"The state of {name!r} is {array.dtype}{list(array.shape)}; the model expects "
            f"{expected[1]}{list(expected[0])}."
        )
