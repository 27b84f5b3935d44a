"""The client's last layers, behind the second cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from keras import tree

from keras_split.partition import Part
from keras_split.segment import call_with_masks, share_rows, takes_masks


class Tail:
    """Runs what follows on the server's part (paper, section 3.6: the network is wrapped around).

    Args:
        part: From the second frontier to the outputs.
        second_frontier: What it reads, as the topology describes it: first the body's, then the
            head's tensors.
        kept: How many are the head's.
    """

    def __init__(self, part: Part, second_frontier: list[dict[str, Any]], kept: int):
        self.part = part
        takes_masks(part.model)
        self._described = second_frontier
        self._returned = len(second_frontier) - kept

    def inputs(self, returned: Any, kept: Sequence[Any]) -> list[Any]:
        """The second frontier, of the server's tensors and the head's own."""
        return share_rows([*tree.flatten(returned), *kept])

    def run(self, inputs: list[Any], *, training: bool) -> Any:
        """The model's outputs."""
        masks = [each["mask"] for each in self._described]
        return call_with_masks(self.part.model, inputs, masks, training=training)

    def graded(self, loss: Callable[[Any, Any, Any], Any], y: Any, sample_weight: Any) -> tuple[int, ...]:
        """Which of the server's tensors the loss depends on.

        The server has to know before the step begins, and only TensorFlow can tell: by tracing the
        tail and its gradients, in a graph that is never run.

        Args:
            loss: Of labels, outputs and sample weights.
            y: Nested labels, or None.
            sample_weight: Nested, or None.
        """
        found: list[int] = []

        def probe(inputs: list[Any], y: Any, sample_weight: Any) -> None:
            with tf.GradientTape() as tape:
                tape.watch(floating(inputs))
                value = loss(y, self.run(inputs, training=True), sample_weight)
            gradients = tape.gradient(value, inputs[: self._returned])
            # Not `extend`: TensorFlow traces twice where metrics make their variables.
            found[:] = [at for at, each in enumerate(gradients) if each is not None]

        specs = [tf.TensorSpec(each["shape"], each["dtype"]) for each in self._described]
        traced = tf.function(probe, autograph=False)
        traced.get_concrete_function(specs, *tree.map_structure(_spec, (y, sample_weight)))
        return tuple(found)


def floating(tensors: Sequence[Any]) -> list[Any]:
    """Those that have gradients."""
    return [each for each in tensors if each.dtype.is_floating]


def _spec(tensor: Any) -> Any:
    return None if tensor is None else tf.TensorSpec(tensor.shape, tensor.dtype)
