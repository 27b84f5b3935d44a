"""From a server's offer to the client's parts."""

from __future__ import annotations

import secrets
from typing import Any

import keras

from keras_split.errors import TopologyError
from keras_split.partition import Part
from keras_split.state.secret import initialise
from keras_split.topology import Offer, Topology

Shapes = list[tuple[list[int | None], str]]


def build_parts(offer: Offer, custom_layers: dict[str, type] | None) -> tuple[Part, Part | None]:
    """Builds head and tail of a validated offer, with weights that the server cannot know.

    Raises:
        TopologyError: Keras cannot build them, or they do not fit what is described around them.
    """
    config = offer.config
    second = _described(config["second_frontier"])
    kept = second[len(second) - config["kept"] :]
    head = _part(config["head"], offer.head, custom_layers)
    if _shapes(head.model.outputs) != [*_described(config["frontier"]), *kept]:
        raise TopologyError("The head that the server describes does not produce its frontier.")
    if offer.tail is None:
        return head, None
    tail = _part(config["tail"], offer.tail, custom_layers)
    if _shapes(tail.model.inputs) != second:
        raise TopologyError("The tail that the server describes does not fit its body.")
    return head, tail


def _part(config: dict[str, Any], checked: Topology, custom_layers: dict[str, type] | None) -> Part:
    try:
        with keras.saving.custom_object_scope(custom_layers or {}):
            part = Part.from_config({**config, "model": checked.config})
    except TopologyError:
        raise
    except Exception as error:
        # Whatever Keras raises for options that fit one by one and not together: nobody built this model.
        raise TopologyError(f"Keras cannot build the server's topology ({type(error).__name__}).") from error
    initialise(part.model, secrets.token_bytes(32))
    return part


def _described(frontier: list[dict[str, Any]]) -> Shapes:
    return [(each["shape"], each["dtype"]) for each in frontier]


def _shapes(tensors: list[Any]) -> Shapes:
    return [(list(tensor.shape), tensor.dtype) for tensor in tensors]
