"""From a server's topology to a head, with suspicion."""

from __future__ import annotations

import secrets
from typing import Any

import keras

from keras_split.errors import TopologyError
from keras_split.partition import Part
from keras_split.state.secret import initialise
from keras_split.topology import validate


def build_head(topology: dict[str, Any], custom_layers: dict[str, type] | None) -> Part:
    """Validates a topology and builds its head, with weights that the server cannot know.

    Raises:
        TopologyError: The topology must not be run, or does not make sense.
    """
    config = topology["head"]
    checked = validate(config["model"], custom_layers=custom_layers)
    with keras.saving.custom_object_scope(custom_layers or {}):
        head = Part.from_config({**config, "model": checked.config})
    _check_frontier(head, topology["frontier"])
    initialise(head.model, secrets.token_bytes(32))
    return head


def _check_frontier(head: Part, frontier: list[dict[str, Any]]) -> None:
    built = [(list(tensor.shape), tensor.dtype) for tensor in head.model.outputs]
    if built != [(each["shape"], each["dtype"]) for each in frontier]:
        raise TopologyError("The head that the server describes does not produce its frontier.")
