"""Finds outputs of the model that end in a sigmoid, by tracing what makes them."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import tensorflow as tf
from keras import tree


def ends_in_sigmoid(inputs: Any, tensor: Any) -> bool:
    """Whether TensorFlow computes a symbolic tensor by a sigmoid, in training or in use.

    Args:
        inputs: Nest of a model's symbolic inputs.
        tensor: Computed from them.
    """
    model = keras.Model(inputs, tensor)
    specs = [tf.TensorSpec(each.shape, each.dtype) for each in model.inputs]
    found: list[str] = []

    def probe(*flat: Any) -> None:
        for training in (True, False):
            made = model(tree.pack_sequence_as(model._inputs_struct, flat), training=training)
            found.append(made.op.type)

    with warnings.catch_warnings():
        # What Keras has to say about masks, it says again to whoever trains.
        warnings.simplefilter("ignore")
        tf.function(probe, autograph=False).get_concrete_function(*specs)
    # What layers have added belongs to a graph that ends here.
    model._clear_losses()
    return "Sigmoid" in found
