"""Own layers, losses and functions: which of them a server's process can find."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_split.errors import TopologyError

_ALREADY_THERE = {"__main__", "keras", "keras_split"}
_ADVICE = (
    "Register own classes and functions with `keras.saving.register_keras_serializable`, in a module that "
    "the server can import (not in __main__), and give every own layer a `get_config`; lambdas cannot travel."
)


def modules_of_own_objects() -> list[str]:
    """Where registered layers and functions are defined: Keras finds them once they are imported."""
    found = {str(each.__module__) for each in keras.saving.get_custom_objects().values()}
    return sorted(name for name in found if name.partition(".")[0] not in _ALREADY_THERE)


def check_layers(layers: Iterable[Any]) -> None:
    """Refuses layers that a server could not build, all of them in one error.

    Args:
        layers: Of the body.

    Raises:
        TopologyError: The text names each layer, and what of it cannot be found.
    """
    _refuse("layers", {repr(each.name): list(_strange_in_layer(each)) for each in layers})


def check_settings(settings: dict[str, Any]) -> None:
    """Refuses compile settings that a server could not build, all of them in one error.

    Args:
        settings: Serialised optimizer and losses by their names.

    Raises:
        TopologyError: The text names each setting, and what of it cannot be found.
    """
    _refuse("settings", {name: list(_strange(each)) for name, each in settings.items()})


def _refuse(what: str, found: dict[str, list[str]]) -> None:
    odd = [f"{name} ({', '.join(dict.fromkeys(each))})" for name, each in found.items() if each]
    if odd:
        raise TopologyError(
            f"The server cannot rebuild these {what}, which go to it: {'; '.join(odd)}. {_ADVICE} "
            f"Received: {len(odd)} of them."
        )


def _strange_in_layer(layer: Any) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            # Keras warns of lambdas, which are refused here.
            warnings.simplefilter("ignore")
            config = keras.saving.serialize_keras_object(layer)
    except Exception as error:  # Whatever an own `get_config` raises.
        yield f"its config cannot be had: {type(error).__name__}"
    else:
        yield from _strange(config)


def _strange(config: Any) -> Iterator[str]:
    """Everything inside a config that is neither Keras' own nor found by an import."""
    if isinstance(config, (list, tuple)):
        for each in config:
            yield from _strange(each)
    if not isinstance(config, dict):
        return
    name = config.get("class_name")
    if name == "__lambda__":
        yield "a lambda"
        return
    if isinstance(name, str) and not name.startswith("__") and "module" in config:
        reason = _strange_name(config)
        if reason:
            yield reason
    for each in config.values():
        yield from _strange(each)


def _strange_name(config: dict[str, Any]) -> str:
    """Why one object cannot be found; empty if it can."""
    is_function = config["class_name"] == "function"
    name = config.get("config") if is_function else config.get("registered_name") or config["class_name"]
    found = keras.saving.get_registered_object(name) if isinstance(name, str) else None
    if found is not None:
        return _strange_module(str(name), str(found.__module__))
    kind = "function" if is_function else "class"
    module = config.get("module") or ""
    if module.partition(".")[0] == "keras":
        return ""
    if is_function and module == "builtins" and _is_keras_function(config):
        return ""
    return f"the {kind} {name} is not registered"


def _is_keras_function(config: dict[str, Any]) -> bool:
    try:
        return callable(keras.saving.deserialize_keras_object(config))
    except (TypeError, ValueError):
        return False


def _strange_module(name: str, module: str) -> str:
    if module == "__main__":
        return f"{name} is defined in __main__"
    try:
        is_there = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        is_there = False
    return "" if is_there else f"the module {module} of {name} cannot be imported"
