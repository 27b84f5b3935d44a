"""From a server's topology to the client's parts, with suspicion."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import keras

from keras_split.errors import TopologyError
from keras_split.partition import Part
from keras_split.state.secret import initialise
from keras_split.topology import TopologyLimits, validate

Shapes = list[tuple[list[int | None], str]]


def build_parts(topology: dict[str, Any], custom_layers: dict[str, type] | None) -> tuple[Part, Part | None]:
    """Validates a topology and builds head and tail, with weights that the server cannot know.

    Raises:
        TopologyError: The topology must not be run, or does not make sense.
    """
    try:
        return _build(topology, custom_layers)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise TopologyError(f"The server's topology is not complete ({type(error).__name__}).") from None


def _build(topology: dict[str, Any], custom_layers: dict[str, type] | None) -> tuple[Part, Part | None]:
    second = _described(topology["second_frontier"])
    kept = second[len(second) - topology["kept"] :]
    # What the tail reads of the head shows in the gradients that go up, so that no raw input may be
    # among it either.
    head = _part(topology["head"], TopologyLimits(), custom_layers)
    if _shapes(head.model.outputs) != [*_described(topology["frontier"]), *kept]:
        raise TopologyError("The head that the server describes does not produce its frontier.")
    if not topology["second_cut"]:
        return head, None
    # Nothing that comes out of the tail leaves this process.
    tail = _part(topology["tail"], replace(TopologyLimits(), mixing="none"), custom_layers)
    if _shapes(tail.model.inputs) != second:
        raise TopologyError("The tail that the server describes does not fit its body.")
    return head, tail


def _part(config: dict[str, Any], limits: TopologyLimits, custom_layers: dict[str, type] | None) -> Part:
    checked = validate(config["model"], limits=limits, custom_layers=custom_layers)
    with keras.saving.custom_object_scope(custom_layers or {}):
        part = Part.from_config({**config, "model": checked.config})
    initialise(part.model, secrets.token_bytes(32))
    return part


def _described(frontier: list[dict[str, Any]]) -> Shapes:
    return [(each["shape"], each["dtype"]) for each in frontier]


def _shapes(tensors: list[Any]) -> Shapes:
    return [(list(tensor.shape), tensor.dtype) for tensor in tensors]
