"""A server's reply as Keras' losses and metrics expect it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from keras import tree

from keras_split.segment import MEASURES, Measures, Output, Shadow
from keras_split.session import Prepared

Ranked = list[tuple[tuple[int, ...], Any]]


@dataclass
class Reply:
    """Tensors of one exchange, in the graph.

    Args:
        outputs: Nested as the whole model returns them, with logits and masks attached.
        names: Of the operations that made the outputs.
        ties: Equal, and not 0, for those that are known to have equally many rows.
        loss_terms: The body's, with their ranks.
        cut_gradients: In the order in which they came.
        shadow: The server's operations, which say whose gradients these are.
        measures: What the server has measured of its gradients, by role.
        made_by: The operation that brings all of these.
    """

    outputs: Any
    names: list[str] = field(default_factory=list)
    ties: list[int] = field(default_factory=list)
    loss_terms: Ranked = field(default_factory=list)
    cut_gradients: list[Any] = field(default_factory=list)
    shadow: Shadow = Shadow()
    measures: Measures = field(default_factory=Measures)
    made_by: Any = None


def read_reply(prepared: Prepared, specs: Sequence[Output], tensors: list[Any], made_by: Any) -> Reply:
    """Sorts the flat tensors of a reply by their roles.

    Args:
        prepared: The exchange.
        specs: Of these tensors.
        tensors: In the graph.
        made_by: The operation that brings them.
    """
    flat: dict[int, Any] = {}
    reply = Reply(None, shadow=prepared.shadow, made_by=made_by)
    for spec, tensor in zip(specs, tensors, strict=True):
        # An operation, not a note on the tensor: TensorFlow's rewriting reads shapes from the graph, and
        # regroups a sum of losses, as in the whole model, only where it finds them there.
        tensor = tf.ensure_shape(tensor, spec.shape)
        if spec.role == "output":
            flat[spec.index] = tensor
            reply.names.append(spec.name)
            reply.ties.append(spec.tie)
        elif spec.role == "logits":
            # Where Keras' cross-entropies look for them.
            flat[spec.index]._keras_logits = tensor
        elif spec.role == "mask":
            flat[spec.index]._keras_mask = tensor
        elif spec.role == "loss_term":
            reply.loss_terms.append((spec.rank, tensor))
        elif spec.role in MEASURES:
            reply.measures[spec.role] = tensor
        else:
            reply.cut_gradients.append(tensor)
    if flat:
        reply.outputs = tree.map_structure(lambda place: flat[place], prepared.structure)
    return reply
