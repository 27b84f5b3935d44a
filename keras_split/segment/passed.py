"""Outputs of the model that one part makes and another passes on, with the logits behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import tree

from keras_split.segment.traced import logits_of


def logits_beside(tensors: Sequence[Any], described: Sequence[Mapping[str, Any]]) -> dict[int, Any]:
    """Logits of those tensors that are outputs of the model, by their places.

    Keras notes them on a tensor, and such notes do not travel with its values. A cross-entropy that
    did not find them would be computed from the probabilities, which rounds in another way.

    Args:
        tensors: As a part has just made them.
        described: For each, what the topology says about it.
    """
    outputs = [at for at, each in enumerate(described) if each["is_output"]]
    found = {at: logits_of(tensors[at]) for at in outputs}
    return {at: logits for at, logits in found.items() if logits is not None}


def give_logits(model: keras.Model, outputs: Any, logits: Mapping[int, Any]) -> Any:
    """Notes logits on those outputs of a part that are inputs of it; returns the outputs.

    Args:
        model: The part.
        outputs: Nested, as the part has just returned them.
        logits: By the places of the inputs that they belong to.
    """
    places = {id(each): at for at, each in enumerate(model.inputs)}
    for symbol, tensor in zip(model.outputs, tree.flatten(outputs), strict=True):
        at = places.get(id(symbol))
        if at is not None and at in logits:
            tensor._keras_logits = logits[at]
    return outputs
