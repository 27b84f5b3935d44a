"""Compile settings as JSON, and back."""

from __future__ import annotations

import json
from typing import Any

import keras

from keras_split.codec import read_document
from keras_split.errors import TopologyError
from keras_split.segment import Settings, undecayed

# What the client needs as well, for its own half of the optimizer and for its metrics.
SHARED = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")


def settings_of(model: keras.Model) -> str:
    """The settings of a compiled model, JSON.

    Raises:
        ValueError: It was never compiled.
    """
    if not model.compiled:
        raise ValueError(
            f"The model {model.name!r} is not compiled, and the server's settings are the ones that "
            "hold. Call `model.compile(optimizer=..., loss=...)` before `model.save(...)`."
        )
    # The optimizer as it is: Keras may have put the one that was given into a LossScaleOptimizer.
    config = {
        **model.get_compile_config(),
        "optimizer": keras.saving.serialize_keras_object(model.optimizer),
    }
    settings = {name: config.get(name) for name in SHARED}
    places = undecayed(model.optimizer, dict(enumerate(model.weights)))
    return json.dumps({**settings, "undecayed": places} if places else settings)


def parse_settings(text: str) -> Settings:
    """Builds optimizer and loss anew.

    Raises:
        TopologyError: An object that this process cannot build.
        ProtocolError: The text is not JSON.
    """
    try:
        config = read_document(text, "The compile settings", finite=False)
        found: dict[str, Any] = {
            name: keras.saving.deserialize_keras_object(config.get(name))
            for name in ("optimizer", "loss", "loss_weights", "undecayed")
        }
    except (ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        raise TopologyError(
            "The server cannot build the optimizer or the loss that was sent. Own functions and "
            "classes must live in a module that the server can import (not in __main__) and be "
            "registered with `keras.saving.register_keras_serializable`. Keras says: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error
    return Settings(found["optimizer"], found["loss"], found["loss_weights"], found["undecayed"] or ())
