"""Which layers and variables of a part are trained, apart from all else about it.

A flag may change between two graphs without anything being built anew, and a variable may have one that its
layer's config does not tell.
"""

from __future__ import annotations

from typing import Any

import keras

from keras_split.partition.inventory import named_layers, named_variables


def flags_of(model: keras.Model) -> dict[str, dict[str, bool]]:
    """The flags of layers and of variables, JSON-ready."""
    return {
        "layers": {path: bool(each.trainable) for path, each in named_layers(model).items()},
        "variables": {name: bool(each.trainable) for name, each in named_variables(model).items()},
    }


def set_flags(model: keras.Model, flags: dict[str, dict[str, bool]]) -> None:
    """Has a model of the same layers the same flags.

    Raises:
        KeyError: A layer or a variable is missing.
    """
    # Outer layers first, since a layer's flag becomes that of all inside it.
    for path, layer in named_layers(model).items():
        layer.trainable = flags["layers"][path]
    for name, variable in named_variables(model).items():
        variable.trainable = flags["variables"][name]


def without_flags(config: Any) -> Any:
    """A copy of a serialised model in which layers do not say whether they are trained."""
    if isinstance(config, dict):
        return {key: without_flags(each) for key, each in config.items() if key != "trainable"}
    if isinstance(config, (list, tuple)):
        return [without_flags(each) for each in config]
    return config
