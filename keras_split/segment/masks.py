"""Masks arrive as tensors beside the tensors that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


def takes_masks(model: keras.Model) -> keras.Model:
    """Lets the inputs of a part have masks, which its layers read one by one as in the whole model.

    Keras expects no mask at a model's inputs, and warns that it would be lost.
    """
    model.supports_masking = True
    # The layers have given each output its mask; by default, all would get those of the inputs.
    model.compute_mask = lambda inputs, previous_mask=None: None
    return model


def call_with_masks(
    model: keras.Model, tensors: list[Any], masks: Sequence[int | None], *, training: bool
) -> Any:
    """A forward pass.

    Args:
        model: A part that takes masks.
        tensors: Its inputs.
        masks: For each, the place of its mask among them, or None.
        training: As in Keras.
    """
    for tensor, mask in zip(tensors, masks, strict=True):
        if mask is not None:
            tensor._keras_mask = tensors[mask]
    return model(tensors, training=training)
