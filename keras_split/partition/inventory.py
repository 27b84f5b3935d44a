"""Names for layers and variables that are the same in every process that builds the same part.

Keras' own paths are not: a layer keeps the path of the model in which it was first built, and what has no
name of its own gets one that Keras counts up in each process.
"""

from __future__ import annotations

from typing import Any

import keras

from keras_split.naming import lasting_names, stem


def named_layers(model: keras.Model) -> dict[str, Any]:
    """All layers inside a model, each under its path, e.g. `encoder/conv`."""
    found: dict[str, Any] = {}
    _collect(model, "", found, set())
    return found


def named_variables(model: keras.Model) -> dict[str, Any]:
    """All variables of a model, seed generators' included, e.g. `encoder/conv/0:kernel`."""
    seen: set[int] = set()
    found: dict[str, Any] = {}
    for path, layer in named_layers(model).items():
        own = [variable for variable in _own_variables(layer) if id(variable) not in seen]
        seen.update(id(variable) for variable in own)
        found.update({f"{path}/{index}:{stem(each.name)}": each for index, each in enumerate(own)})
    return found


def _collect(layer: Any, prefix: str, found: dict[str, Any], seen: set[int]) -> None:
    inside = layer._flatten_layers(include_self=False, recursive=False)
    own = list({id(child): child for child in inside if id(child) not in seen}.values())
    seen.update(map(id, own))
    for child, name in zip(own, lasting_names(child.name for child in own), strict=True):
        found[f"{prefix}{name}"] = child
        _collect(child, f"{prefix}{name}/", found, seen)


def _own_variables(layer: Any) -> list[Any]:
    seeds = [generator.state for generator in layer._seed_generators]
    return [*layer._trainable_variables, *layer._non_trainable_variables, *seeds]
