"""Whether a step's bytes and operations are known before its data is."""

from __future__ import annotations

import keras
from keras import tree


def check_sizes(model: keras.Model, batch_size: int) -> None:
    """Raises ValueError unless the model takes such batches, and inputs of one size only."""
    graph = getattr(model, "_functional", None) or model
    # What is no graph is refused where it is cut, with more to say.
    for tensor in tree.flatten(getattr(graph, "_inputs_struct", [])):
        rows, *sizes = tensor.shape
        if None in sizes:
            raise ValueError(
                f"A dimension of the input {tensor.name!r} may vary, and bytes and operations with it. For "
                "this purpose, build the model with an input of a typical size. "
                f"Received: shape {tuple(tensor.shape)}."
            )
        if rows not in (None, batch_size):
            raise ValueError(
                f"The input {tensor.name!r} takes batches of {rows} only. Received: batch_size={batch_size}."
            )
