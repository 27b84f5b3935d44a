"""Gradients from another party, taken further here as the unsplit model would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def arrived(gradient: Any, tensor: Any) -> Any:
    """A gradient of a tensor that came from elsewhere, as if it had been computed here.

    It is copied into memory of TensorFlow's own. A sum of gradients is built in the memory of the first
    addend that TensorFlow may overwrite, and begins with that one; whether it may overwrite what a
    Python function returned depends on the address.

    Args:
        gradient: As it came.
        tensor: Whose gradient it is; of the same shape.
    """
    own = tf.raw_ops.DeepCopy(x=gradient)
    known = tf.reshape(own, tf.shape(tensor))
    known.set_shape(tensor.shape)
    return known


def pulled_gradients(
    tape: Any, far: Sequence[tuple[Any, Any]], terms: Sequence[Any], sources: Sequence[Any]
) -> list[Any]:
    """Gradients of what lies behind a part, and of the part's own loss terms.

    A tensor that both depend on gets the sum of all their gradients, and floating-point sums depend on the
    order. In the unsplit model the terms stand behind the data's loss in one sum, in which TensorFlow
    finds them in this order. Of several targets it would find them in no order at all.

    Args:
        tape: That has seen how they came about.
        far: Tensors at the end of the part, each with its gradient.
        terms: Loss terms, whose gradients are 1.
        sources: With respect to what.

    Returns:
        For each source, or None where nothing depends on it.
    """
    if not far and not terms:
        return [None] * len(sources)
    with tape:
        joined = tf.identity_n([*(tensor for tensor, _ in far), *terms])
    pulls = [*(gradient for _, gradient in far), *(tf.ones_like(term) for term in terms)]
    return tape.gradient(joined, sources, output_gradients=pulls)
