"""The client's last layers, behind the second cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from keras import tree

from keras_split.model.reply import Reply
from keras_split.partition import Part
from keras_split.segment import (
    Shadow,
    Sight,
    call_with_masks,
    draws_of_its_own,
    give_logits,
    logits_beside,
    named,
    named_as,
    seen_behind,
    share_rows,
    takes_masks,
)


class Seen(NamedTuple):
    """Of a tail, from the other side of the second cut.

    Args:
        graded: For each gradient that will go up the place of the server's tensor.
        shadow: The tail's operations.
    """

    graded: tuple[int, ...]
    shadow: Shadow


class Tail:
    """Runs what follows on the server's part (paper, section 3.6: the network is wrapped around).

    Args:
        part: From the second frontier to the outputs.
        second_frontier: What it reads, as the topology describes it: first the body's, then the
            head's tensors.
        kept: How many are the head's.
        whole: The whole model's name.

    Attributes:
        returned: How many are the body's.
    """

    def __init__(self, part: Part, second_frontier: list[dict[str, Any]], kept: int, whole: str):
        self.part = part
        named_as(whole, takes_masks(part.model))
        self._described = second_frontier
        self.returned = len(second_frontier) - kept

    def inputs(
        self, reply: Reply, smashed: Sequence[Any], kept: Sequence[Any], logits: Mapping[int, Any]
    ) -> list[Any]:
        """The second frontier, of the server's tensors and the head's own, and behind it the logits.

        Args:
            reply: With the server's.
            smashed: What was sent for it.
            kept: The head's own.
            logits: Of such tensors of the head as are outputs of the model.
        """
        own = [*kept, *logits.values()]
        # In one numbering with what was sent.
        sight = Sight([*smashed, *own] if own else [])
        known = [*smashed, *own]
        theirs = share_rows(tree.flatten(reply.outputs), reply.names, reply.ties, known, sight.ties(known))
        return [*theirs, *(named(each, sight.name(each)) for each in own)]

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
        found = logits_beside(kept, self._described[self.returned :])
        return {self.returned + at: each for at, each in found.items()}

    def seen(self, loss: Callable[[Any, Any, Any], Any], y: Any, sample_weight: Any) -> Seen:
        """What the server has to know of the tail before a step begins.

        Only TensorFlow can tell on which of the server's tensors the loss depends, and in which order their
        gradients come: by tracing the tail and its gradients, in a graph that is never run.

        Args:
            loss: Of labels, outputs and sample weights; None where there is none.
            y: Nested labels, or None.
            sample_weight: Nested, or None.
        """
        found: list[Seen] = []

        def probe(inputs: list[Any], y: Any, sample_weight: Any) -> None:
            def forward() -> tuple[Any, Any]:
                data = loss(y, self.run(inputs, training=True), sample_weight)
                return data, self.part.losses()

            shadow, leaves = seen_behind(inputs[: self.returned], forward)
            # In place: TensorFlow traces twice where metrics make their variables.
            found[:] = [Seen(tuple(leaf.number for leaf in leaves), shadow)]

        specs = [tf.TensorSpec(each["shape"], each["dtype"]) for each in self._described]
        traced = tf.function(probe, autograph=False)
        traced.get_concrete_function(specs, *tree.map_structure(_spec, (y, sample_weight)))
        return found[0]


def floating(tensors: Sequence[Any]) -> list[Any]:
    """Those that have gradients."""
    return [each for each in tensors if each.dtype.is_floating]


def _spec(tensor: Any) -> Any:
    return None if tensor is None else tf.TensorSpec(tensor.shape, tensor.dtype)
