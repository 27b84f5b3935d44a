"""What only the graphs of the client's parts can tell; they are traced and never run."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras import tree

from keras_split.partition import Partition
from keras_split.planning.targets import Targets
from keras_split.segment import Input, Shadow, call_with_masks, logits_beside, seen_behind, takes_masks


def logits_at_the_cut(parts: Partition, batch_size: int) -> list[Input]:
    """The logits that travel with those frontier tensors that are outputs of the model."""
    described = parts.sections.describe(parts.sections.frontier)
    if not any(each["is_output"] for each in described):
        return []
    found: list[Input] = []

    def probe(inputs: list[Any]) -> None:
        made = tree.flatten(parts.head.model(_packed(parts.head.model, inputs), training=True))
        found[:] = [
            Input("logits", tuple(each.shape), each.dtype.name, at)
            for at, each in logits_beside(made[: len(described)], described).items()
        ]

    _trace(probe, _specs(parts.head.model.inputs, batch_size))
    return found


def behind_outputs(parts: Partition, targets: Targets, batch_size: int) -> tuple[tuple[int, ...], Shadow]:
    """For each gradient that the tail sends the place of the body's output, and the operations of the tail.

    Args:
        parts: A model with a tail.
        targets: Its loss, labels and sample weights.
        batch_size: Samples in a step.
    """
    tail, second = parts.tail, parts.sections.second_frontier
    if tail is None or second is None:
        raise ValueError("Only a model with a second cut has a tail. Received: a partition without one.")
    tail.model.output_names = parts.output_names
    tail.model.compile(loss=targets.loss, loss_weights=targets.loss_weights)
    returned = len(second.tensors) - parts.sections.kept
    model, masks, losses = takes_masks(tail.model), second.masks, tail.losses
    found: list[tuple[tuple[int, ...], Shadow]] = []

    def probe(inputs: list[Any], labels: Any, sample_weight: Any) -> None:
        def forward() -> tuple[Any, Any]:
            y_pred = call_with_masks(model, inputs, masks, training=True)
            loss = model._compile_loss
            return loss and loss(labels, y_pred, sample_weight), losses()

        shadow, leaves = seen_behind(inputs[:returned], forward)
        found[:] = [(tuple(leaf.number for leaf in leaves), shadow)]

    given = (tree.map_structure(_spec, each) for each in (targets.labels, targets.sample_weight))
    _trace(probe, _specs(second.tensors, batch_size), *given)
    return found[0]


def _trace(probe: Any, *specs: Any) -> None:
    tf.function(probe, autograph=False).get_concrete_function(*specs)


def _specs(tensors: list[Any], batch_size: int) -> list[tf.TensorSpec]:
    return [tf.TensorSpec((batch_size, *tuple(each.shape)[1:]), each.dtype) for each in tensors]


def _spec(each: Input | None) -> tf.TensorSpec | None:
    return None if each is None else each.spec


def _packed(model: Any, inputs: list[Any]) -> Any:
    return tree.pack_sequence_as(model._inputs_struct, inputs)
