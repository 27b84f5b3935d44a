"""The server's part in the client's process: it says what a server would, and its graph can be looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import tensorflow as tf

from keras_split.codec import flatten_structure, unflatten_structure
from keras_split.partition import Partition
from keras_split.segment import Segment, Settings, Signature
from keras_split.session import Exchange, Prepared


class Partner:
    """What a client prepares with in place of a session. Nothing is computed.

    Args:
        parts: Of the model.
        settings: Of the server's part.

    Attributes:
        segment: The server's part.
        graph: Of the exchange that was prepared last.
    """

    def __init__(self, parts: Partition, settings: Settings):
        self.graph: Any = None
        self.segment = Segment(
            parts.body.model,
            parts.body.losses,
            parts.sections.frontier.masks,
            parts.output_names,
            parts.body.by_place(),
            parts.whole.name,
            shares_labels=parts.tail is None,
        )
        self.segment.compile(settings)

    def prepare(self, exchange: Exchange) -> Prepared:
        """As a server: traces what it would run."""
        signature = _signature(exchange)
        # Outside of the client's graph, in whose midst this is asked. In a `tf.init_scope` no gradient would
        # be recorded.
        outside = tf.Graph().as_default(), tf.__internal__.eager_context.eager_mode()
        with outside[0], outside[1], _without_losses(self.segment.model):
            traced: Any
            if exchange.mode == "train":
                traced = self.segment.trace_step(signature)
            else:
                traced = self.segment.trace_inference(signature, outputs_only=exchange.mode == "predict")
            self.graph = traced.graph
        return Prepared("", tuple(traced.outputs), traced.structure, traced.shadow, exchange)


@contextlib.contextmanager
def _without_losses(model: Any) -> Iterator[None]:
    """Layers that both parties have belong to each of them alone, in processes of their own."""
    kept = [(layer, list(layer._losses)) for layer in model._flatten_layers()]
    model._clear_losses()
    try:
        yield
    finally:
        for layer, losses in kept:
            layer._losses[:] = losses


def _signature(exchange: Exchange) -> Signature:
    labels, labels_structure = flatten_structure(exchange.labels)
    weights, weights_structure = flatten_structure(exchange.sample_weight)
    return Signature(
        (*exchange.smashed, *labels, *weights),
        labels=partial(unflatten_structure, text=labels_structure),
        sample_weight=partial(unflatten_structure, text=weights_structure),
        wants_cut_gradients=exchange.wants_cut_gradients,
        graded=exchange.graded,
        shadow=exchange.shadow,
    )
