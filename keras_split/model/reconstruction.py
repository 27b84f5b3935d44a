"""What the decoder makes of one batch, and what it asks of the head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from keras_split.model.decoder import Decoder


@dataclass(frozen=True)
class Reconstruction:
    """Gradients of a reconstruction loss.

    Args:
        loss: Its value.
        alpha: Its weight for the head.
        pulls: Its gradients by the place of the frontier tensor.
        own: The decoder's gradients with their variables; alpha does not scale them (paper,
            Algorithm 3, line 14).
    """

    loss: Any
    alpha: Any
    pulls: dict[int, Any]
    own: list[tuple[Any, Any]]

    def added_to(self, smashed: Sequence[Any]) -> list[tuple[Any, Callable[[Any], Any]]]:
        """For each tensor that the decoder reads, what adds alpha times its gradient (paper, Eq. 1).

        With alpha at 0 the gradients are the server's, to the last bit, whatever the reconstruction is.
        """
        return [(smashed[at], partial(self._added, pull)) for at, pull in self.pulls.items()]

    def _added(self, pull: Any, cut: Any) -> Any:
        weighted = tf.cast(self.alpha, pull.dtype) * pull
        server = tf.zeros_like(pull) if cut is None else cut
        return tf.where(self.alpha > 0, server + weighted, server)


def reconstruct(
    decoder: Decoder, smashed: dict[int, Any], x: Any, alpha: Any, scale: Callable[[Any], Any]
) -> Reconstruction:
    """One pass of the decoder, forward and backward.

    Args:
        decoder: The client's.
        smashed: Frontier tensors by their place, without masks.
        x: Inputs, of all rows.
        alpha: Scalar variable.
        scale: The optimizer's scaling of losses.
    """
    tensors: Sequence[Any] = list(smashed.values())
    variables = decoder.model.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = decoder.value(tensors, x, training=True)
        scaled = scale(loss)
    found = tape.gradient(scaled, [*tensors, *variables])
    pulls = {at: each for at, each in zip(smashed, found, strict=False) if each is not None}
    return Reconstruction(loss, alpha, pulls, list(zip(found[len(tensors) :], variables, strict=True)))
