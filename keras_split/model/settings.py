"""Compile settings as both sides exchange them."""

from __future__ import annotations

import json
from typing import Any

from keras_split.errors import SettingsRefused

# What both halves must agree on; metrics are the client's own affair.
COMMON = ("optimizer", "loss", "loss_weights", "undecayed")

_NO_CONFIG = (
    "Optimizer and losses travel to the server as their Keras configs, and one of them has none. Register "
    "own classes and functions with `keras.saving.register_keras_serializable`."
)


def common_settings(compile_config: dict[str, Any]) -> dict[str, Any]:
    """The part of a serialised compile config that the server needs.

    Raises:
        ValueError: Something in it has no config.
    """
    settings = {name: compile_config.get(name) for name in COMMON if name in compile_config}
    try:
        text = json.dumps(settings)
    except TypeError as error:
        raise ValueError(f"{_NO_CONFIG} ({error})") from None
    if "__lambda__" in text:
        raise ValueError(f"{_NO_CONFIG} (A lambda has code in place of a config.)")
    return settings


def check_same(own: dict[str, Any], server: dict[str, Any]) -> None:
    """Raises `SettingsRefused` where a client's settings differ from a server's that hold."""
    for name in COMMON:
        if _comparable(name, own) != _comparable(name, server):
            raise SettingsRefused(
                f"This server keeps its own compile settings, and `{name}` differs from them. Leave "
                "optimizer, loss and loss_weights out of `compile()`, or have the server's changed."
            )


def same_apart_from_rate(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Whether two settings are the same but for a number as learning rate, which travels with steps."""
    return _without_rate(one) == _without_rate(other)


def _without_rate(settings: dict[str, Any] | None) -> Any:
    return settings and {**settings, "optimizer": _rateless(_unnamed(settings.get("optimizer")))}


def _rateless(optimizer: Any) -> Any:
    config = optimizer.get("config") if isinstance(optimizer, dict) else None
    if not isinstance(config, dict):
        return optimizer
    if "inner_optimizer" in config:
        return {**optimizer, "config": {**config, "inner_optimizer": _rateless(config["inner_optimizer"])}}
    if isinstance(config.get("learning_rate"), dict):
        return optimizer
    return {**optimizer, "config": {**config, "learning_rate": 0}}


def _comparable(name: str, settings: dict[str, Any]) -> str:
    value = settings.get(name)
    # Keras numbers the names of optimizers within a process: of two that are alike, one is `adam_1`. While it
    # reads a file, it also numbers objects.
    return json.dumps(_unnamed(value) if name == "optimizer" else value, sort_keys=True)


def _unnamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unnamed(each) for key, each in value.items() if key not in ("name", "shared_object_id")}
    return value
