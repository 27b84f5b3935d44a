"""Finds outputs of the model that end in a sigmoid, by tracing what makes them."""

from __future__ import annotations

import warnings
from typing import Any

import tensorflow as tf
from keras import tree

from keras_split.partition.between import between
from keras_split.partition.graph import Graph


def ends_in_sigmoid(graph: Graph, tensor: Any) -> bool:
    """Whether TensorFlow computes a symbolic tensor by a sigmoid, in training or in use.

    Args:
        graph: Of the model.
        tensor: Computed from its inputs.
    """
    model = between(graph, graph.inputs, tensor, "probe")
    specs = [tf.TensorSpec(each.shape, each.dtype) for each in model.inputs]
    found: list[str] = []

    def probe(*flat: Any) -> None:
        for training in (True, False):
            made = model(tree.pack_sequence_as(model.input, flat), training=training)
            found.append(made.op.type)

    with warnings.catch_warnings():
        # What Keras has to say about masks, it says again to whoever trains.
        warnings.simplefilter("ignore")
        tf.function(probe, autograph=False).get_concrete_function(*specs)
    # What layers have added belongs to a graph that ends here.
    model._clear_losses()
    return "Sigmoid" in found
