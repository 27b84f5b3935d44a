"""The client's last layers, behind the second cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from keras import tree

from keras_split.partition import Part
from keras_split.segment import (
    call_with_masks,
    draws_of_its_own,
    give_logits,
    logits_beside,
    share_rows,
    takes_masks,
)


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

    def inputs(self, returned: Any, kept: Sequence[Any], logits: Mapping[int, Any]) -> list[Any]:
        """The second frontier, of the server's tensors and the head's own, and behind it the logits."""
        return share_rows([*tree.flatten(returned), *kept, *logits.values()])

    def run(self, inputs: list[Any], owners: Iterable[int] = (), *, training: bool) -> Any:
        """The model's outputs.

        Args:
            inputs: As `inputs` returns them; for other purposes than a loss, without logits.
            owners: Places of those that the logits belong to.
            training: As in Keras.
        """
        masks = [each["mask"] for each in self._described]
        read, behind = inputs[: len(masks)], inputs[len(masks) :]
        with draws_of_its_own(self.part.model):
            outputs = call_with_masks(self.part.model, read, masks, training=training)
        return give_logits(self.part.model, outputs, dict(zip(owners, behind, strict=True)))

    def logits(self, kept: Sequence[Any]) -> dict[int, Any]:
        """Logits of what the head has kept and is an output, by the places in the second frontier."""
        found = logits_beside(kept, self._described[self._returned :])
        return {self._returned + at: each for at, each in found.items()}

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
