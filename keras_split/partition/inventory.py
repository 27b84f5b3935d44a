"""Names for layers and variables that are the same in every process that builds the same part.

Keras' own order and paths are not: a model that is rebuilt from its config may list its layers in
another order, and a layer keeps the path of the model in which it was first built. A layer's own
sublayers have names that Keras counts up in each process, as `dropout_5` in MultiHeadAttention.
"""

from __future__ import annotations

import re
from typing import Any

import keras
from keras import tree


def named_layers(model: keras.Model) -> dict[str, Any]:
    """All layers inside a model, each under its path, e.g. `encoder/conv`."""
    found: dict[str, Any] = {}
    _collect(model, "", found, set())
    return found


def named_variables(model: keras.Model) -> dict[str, Any]:
    """All variables of a model, e.g. `encoder/conv/0:kernel`.

    With those of seed generators, and the states of stateful layers, which Keras counts among no variables.
    """
    seen: set[int] = set()
    found: dict[str, Any] = {}
    for path, layer in named_layers(model).items():
        own = [variable for variable in _own_variables(layer) if id(variable) not in seen]
        seen.update(id(variable) for variable in own)
        found.update({f"{path}/{index}:{each.name}": each for index, each in enumerate(own)})
    return found


def stateful_layers(model: keras.Model) -> dict[str, Any]:
    """Layers that go on from one batch to the next, each under its path."""
    return {path: layer for path, layer in named_layers(model).items() if _is_stateful(layer)}


def states(model: keras.Model) -> list[Any]:
    """Variables in which stateful layers keep them."""
    return [each for layer in named_layers(model).values() for each in _states(layer)]


def _collect(layer: Any, prefix: str, found: dict[str, Any], seen: set[int]) -> None:
    for child in layer._flatten_layers(include_self=False, recursive=False):
        if id(child) in seen:
            continue
        seen.add(id(child))
        path = _unused(f"{prefix}{_lasting_name(child, layer)}", found)
        found[path] = child
        _collect(child, f"{path}/", found, seen)


def _lasting_name(child: Any, parent: Any) -> str:
    # A model's config holds the names of its layers; what other layers make inside has a fixed order.
    is_listed = hasattr(parent, "_nodes_by_depth") or isinstance(parent, keras.Sequential)
    return child.name if is_listed else re.sub(r"_\d+$", "", child.name)


def _unused(path: str, found: dict[str, Any]) -> str:
    # Wrappers such as Bidirectional may hold two sublayers of one name.
    count = 1
    candidate = path
    while candidate in found:
        count += 1
        candidate = f"{path}#{count}"
    return candidate


def _own_variables(layer: Any) -> list[Any]:
    seeds = [generator.state for generator in layer._seed_generators]
    return [*layer._trainable_variables, *layer._non_trainable_variables, *seeds, *_states(layer)]


def _is_stateful(layer: Any) -> bool:
    return getattr(layer, "stateful", False) is True and hasattr(layer, "reset_state")


def _states(layer: Any) -> list[Any]:
    found = tree.flatten(getattr(layer, "states", None)) if _is_stateful(layer) else []
    return [each for each in found if isinstance(each, keras.Variable)]
