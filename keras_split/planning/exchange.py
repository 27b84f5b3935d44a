"""The tensors of a step's exchanges, found by tracing what the two sides would trace."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from keras_split.codec import flatten_structure, unflatten_structure
from keras_split.partition import Partition
from keras_split.planning.probes import behind_outputs, logits_at_the_cut
from keras_split.planning.targets import Targets
from keras_split.segment import Input, Output, Segment, Settings, Signature


@dataclass(frozen=True)
class Exchange:
    """Bytes of the tensors of one question and its answer, without the frames around them.

    Args:
        up: To the server, by role: `"smashed"`, `"logits"`, `"label"` and `"sample_weight"`, or
            `"gradient"`.
        down: From it, by role: `"output"`, `"logits"`, `"mask"`, `"loss_term"` and `"cut_gradient"`.
    """

    up: dict[str, int]
    down: dict[str, int]


def trace_exchanges(parts: Partition, targets: Targets, batch_size: int) -> list[Exchange]:
    """Traces what a server would trace for a step, and runs nothing.

    Which outputs have logits, how many loss terms there are and through which frontier tensors a
    gradient flows is known to the traced graph only; rules of our own would sooner or later differ.

    Args:
        parts: A cut model.
        targets: Its loss, labels and sample weights.
        batch_size: Samples in a step.

    Returns:
        One exchange where labels are shared, else two.
    """
    with warnings.catch_warnings():
        # What Keras has to say about masks and gradients, it says again to whoever trains.
        warnings.simplefilter("ignore")
        signature = _signature(parts, targets, batch_size)
        outputs = [_sized(each, signature) for each in _segment(parts, targets).trace_step(signature).outputs]
    for part in (each for side in parts.sides.values() for each in side):
        # What layers have added belongs to a graph that ends here.
        part.model._clear_losses()
    up = _bytes_by_role(signature.inputs)
    if parts.tail is None:
        return [Exchange(up, _bytes_by_role(outputs))]
    gradients = sum(_byte_count(outputs[at]) for at in signature.graded)
    forwarded, returned = _halves(outputs)
    return [
        Exchange(up, _bytes_by_role(forwarded)),
        Exchange({"gradient": gradients}, _bytes_by_role(returned)),
    ]


def _segment(parts: Partition, targets: Targets) -> Segment:
    segment = Segment(
        parts.body.model,
        parts.body.losses,
        parts.sections.frontier.masks,
        parts.output_names,
        parts.body.by_place(),
        parts.whole.name,
        shares_labels=parts.tail is None,
    )
    # The bytes do not depend on the optimizer, unless it looks at all gradients; and this one has no slots
    # that would take memory.
    segment.compile(Settings(keras.optimizers.SGD(), targets.loss, targets.loss_weights))
    return segment


def _halves(outputs: Sequence[Output]) -> tuple[list[Output], list[Output]]:
    """What a label-free step sends before it has the gradients, and after."""
    returned = [each for each in outputs if each.role == "cut_gradient"]
    return [each for each in outputs if each.role != "cut_gradient"], returned


def _signature(parts: Partition, targets: Targets, batch_size: int) -> Signature:
    smashed = [
        Input("smashed", (batch_size, *tuple(tensor.shape)[1:]), tensor.dtype)
        for tensor in parts.sections.frontier.tensors
    ]
    wants_cut_gradients = bool(parts.head.model.trainable_variables)
    if parts.tail is not None:
        graded, shadow = behind_outputs(parts, targets, batch_size)
        return Signature(
            tuple(smashed), wants_cut_gradients=wants_cut_gradients, graded=graded, shadow=shadow
        )
    logits = logits_at_the_cut(parts, batch_size)
    labels, labels_structure = flatten_structure(targets.labels)
    weights, weights_structure = flatten_structure(targets.sample_weight)
    return Signature(
        (*smashed, *logits, *labels, *weights),
        labels=functools.partial(unflatten_structure, text=labels_structure),
        sample_weight=functools.partial(unflatten_structure, text=weights_structure),
        wants_cut_gradients=wants_cut_gradients,
    )


def _sized(output: Output, signature: Signature) -> Output:
    """A gradient has its tensor's size, also where TensorFlow cannot tell by its graph."""
    if output.role != "cut_gradient":
        return output
    return replace(output, shape=signature.inputs[output.index].shape)


def _bytes_by_role(tensors: Sequence[Input] | Sequence[Output]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in tensors:
        found[each.role] = found.get(each.role, 0) + _byte_count(each)
    return found


def _byte_count(tensor: Input | Output) -> int:
    if tensor.shape is None or None in tensor.shape:
        raise ValueError(
            f"The size of a {tensor.role} may vary from step to step, so that its bytes cannot be known. "
            "For the plan, build the model with inputs of one size. "
            f"Received: a {tensor.role} of shape {tensor.shape}."
        )
    return math.prod(size or 0 for size in tensor.shape) * tf.as_dtype(tensor.dtype).size
