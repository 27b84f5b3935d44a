"""Names for layers and variables that are the same in every process that builds the same part.

Keras' own paths are not: a layer keeps the path of the model in which it was first built, and what has no
name of its own gets one that Keras counts up in each process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras import tree

from keras_split.naming import lasting_names, stem


def named_layers(model: keras.Model) -> dict[str, Any]:
    """All layers inside a model, each under its path, e.g. `encoder/conv`."""
    return {path: layer for path, _, layer in _inside(model, "", "", set())}


def named_variables(model: keras.Model) -> dict[str, Any]:
    """All variables of a model, e.g. `encoder/conv/0:kernel`.

    With those of seed generators, and the states of stateful layers, which Keras counts among no variables.
    """
    return {path: variable for path, _, variable, _ in _variables(model)}


def starts_trainable(model: keras.Model) -> list[str]:
    """Names of those that their layers have made to be trained, whether they are frozen now or not."""
    return [path for path, _, _, is_weight in _variables(model) if is_weight]


def shown_names(model: keras.Model) -> dict[str, str]:
    """For the names of `named_variables` those with the layers' names as they are, for people."""
    return {path: shown for path, shown, _, _ in _variables(model)}


def stateful_layers(model: keras.Model) -> dict[str, Any]:
    """Layers that go on from one batch to the next, each under its path."""
    return {path: layer for path, layer in named_layers(model).items() if _is_stateful(layer)}


def states(model: keras.Model) -> list[Any]:
    """Variables in which stateful layers keep them."""
    return [each for layer in named_layers(model).values() for each in _states(layer)]


def _variables(model: keras.Model) -> Iterator[tuple[str, str, Any, bool]]:
    seen: set[int] = set()
    for path, shown, layer in _inside(model, "", "", set()):
        own = [variable for variable in _own_variables(layer) if id(variable) not in seen]
        seen.update(map(id, own))
        weights = {id(variable) for variable in layer._trainable_variables}
        for index, each in enumerate(own):
            name = f"{index}:{stem(each.name)}"
            yield f"{path}/{name}", f"{shown}/{name}", each, id(each) in weights


def _inside(layer: Any, path: str, shown: str, seen: set[int]) -> Iterator[tuple[str, str, Any]]:
    """Each layer once, with its path by lasting names and by its own ones."""
    inside = layer._flatten_layers(include_self=False, recursive=False)
    own = list({id(child): child for child in inside if id(child) not in seen}.values())
    seen.update(map(id, own))
    for child, name in zip(own, lasting_names(child.name for child in own), strict=True):
        yield f"{path}{name}", f"{shown}{child.name}", child
        yield from _inside(child, f"{path}{name}/", f"{shown}{child.name}/", seen)


def _own_variables(layer: Any) -> list[Any]:
    seeds = [generator.state for generator in layer._seed_generators]
    return [*layer._trainable_variables, *layer._non_trainable_variables, *seeds, *_states(layer)]


def _is_stateful(layer: Any) -> bool:
    return getattr(layer, "stateful", False) is True and hasattr(layer, "reset_state")


def _states(layer: Any) -> list[Any]:
    found = tree.flatten(getattr(layer, "states", None)) if _is_stateful(layer) else []
    return [each for each in found if isinstance(each, keras.Variable)]
