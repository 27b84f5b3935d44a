"""Compiled functions of a segment, for one signature each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from keras import tree

from keras_split.segment.placement import Mirrored, Single
from keras_split.segment.shadow import Shadow
from keras_split.segment.signature import Output, Signature
from keras_split.segment.updates import Measures

Ranked = tuple[tuple[int, ...], Any]
RankedLosses = Callable[[], list[Ranked]]
# Nest of the outputs' places, what is sent, and its tensors.
Description = tuple[Any, list[Output], list[Any]]


class TracedInference:
    """Forward pass without training.

    Args:
        forward: From frontier tensors to the outputs, with what belongs to them.
        signature: Of the inputs.
        place: Where to compute.
        combines_below: Requests of fewer rows than this may be computed together. 0 for never.
    """

    def __init__(
        self,
        forward: Callable[[list[Any]], Description],
        signature: Signature,
        place: Single | Mirrored,
        combines_below: int = 0,
    ):
        described: list[tuple[Any, list[Output]]] = []

        def infer(*flat: Any) -> list[Any]:
            structure, outputs, tensors = forward(signature.smashed(flat))
            described.append((structure, outputs))
            return tensors

        specs = [each.spec for each in signature.inputs]
        self._place = place
        self._function = place.traced(infer, specs)
        self.structure, self.outputs = described[0]
        self.shadow = Shadow()
        # Also for what is too little to be shared by several devices.
        self._single = Single()
        self._alone = self._function
        if place.least_rows > 1:
            self._alone = self._single.traced(infer, specs)
        self._combined = self._combinable(infer, specs, combines_below)
        self._combines_below = combines_below

    @property
    def graph(self) -> Any:
        """As traced, on one device."""
        return self._function.get_concrete_function().graph

    def __call__(self, values: Sequence[np.ndarray], combine: bool) -> list[np.ndarray]:
        """Computes the outputs; thread-safe."""
        if combine and self._combined is not None and len(values[0]) < self._combines_below:
            return self._run(self._combined, self._single, values)
        if len(values[0]) < self._place.least_rows:
            return self._run(self._alone, self._single, values)
        return self._run(self._function, self._place, values)

    def _run(self, function: Any, place: Single | Mirrored, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        results = place.gather(function(*place.scatter(values)), [each.role for each in self.outputs])
        return [np.asarray(each) for each in results]

    def _combinable(self, infer: Any, specs: list[tf.TensorSpec], below: int) -> Any | None:
        """TensorFlow's own request batching, where every tensor has rows that can be joined."""
        shapes = [spec.shape for spec in specs] + [each.shape for each in self.outputs]
        if not below or not all(shape and shape[0] is None for shape in shapes):
            return None
        batched = tf.nondifferentiable_batch_function(
            num_batch_threads=1,
            max_batch_size=below * 8,
            batch_timeout_micros=1000,
            max_enqueued_batches=1024,
        )(infer)
        function = tf.function(batched, input_signature=specs, autograph=False)
        function.get_concrete_function()
        return function


class Caller(Protocol):
    """For whom a step is computed."""

    def answer(self, reply: list[np.ndarray]) -> None:
        """Gets the reply as soon as it is known, before the update."""

    def ask(self, question: str, tensors: list[np.ndarray]) -> list[np.ndarray]:
        """Gets what a step says in its midst, and returns what it asks for.

        Args:
            question: `"forwarded"` with the outputs of a label-free step, for their gradients; or
                `"measured"` with the reply and what was measured of this part's gradients, for the same of
                the caller's.
            tensors: What is said.
        """


class Backward(NamedTuple):
    """What a forward and a backward pass give, in the graph.

    Args:
        structure: Nest of the outputs' places.
        outputs: What the reply holds.
        reply: Its tensors, except those that were sent in the midst of the step.
        gradients: Of the part's own variables.
        shadow: What the caller needs to know of the operations that all this came from.
        measures: What was measured of these, by role; nothing for an optimizer that takes each by itself.
        losses: The summands of the loss. No client reads their values; but TensorFlow rewrites a graph
            in which they are not computed into another one than the unsplit model's.
    """

    structure: Any
    outputs: list[Output]
    reply: list[Any]
    gradients: list[Any]
    shadow: Shadow
    measures: Measures
    losses: list[Any]


class TracedStep:
    """One training step, which answers in its midst (paper, Algorithm 1, lines 7 to 10).

    Gradients and update are one graph, as in Keras' own step: TensorFlow rewrites products that reach
    from the one into the other, and a graph that returned the gradients would round in another way.
    So it is the graph itself that hands over the reply, before the update begins. A label-free step
    also asks in its midst, for the gradients of its outputs: there is one forward pass, whose
    statistics and random numbers are those of the backward pass. Where the optimizer looks at all gradients,
    it asks once more before the update, which then depends on what the caller has measured.

    Args:
        forward_backward: From flat inputs to all that follows from them; its second argument is
            called with the outputs of a label-free step, and returns their gradients.
        update: Applies these gradients; its second argument is what the caller has measured of its own.
        signature: Of the inputs.
        place: Where to compute.

    Attributes:
        losses: Of the last step, scalar tensors whose sum is this part's loss, for whoever looks on; empty
            where several devices have a share each.
    """

    def __init__(
        self,
        forward_backward: Callable[[tuple[Any, ...], Callable[..., Any]], Backward],
        update: Callable[[Backward, Measures], None],
        signature: Signature,
        place: Single | Mirrored,
    ):
        described: list[tuple[Any, list[Output], Shadow]] = []
        self.losses: list[Any] = []
        self._caller: Any = None
        self._place = place

        def step(*flat: Any) -> list[Any]:
            found = forward_backward(flat, self._asked("forwarded"))
            # Without their number: it is nothing to agree on, and may be none.
            own = [
                Output(role, (None,) * each.shape.rank, each.dtype.name)
                for role, each in found.measures.items()
            ]
            described.append((found.structure, [*found.outputs, *own], found.shadow))
            theirs = self._settled(found) if own else Measures()
            # What was said in the midst is no part of the reply, which only comes after it.
            receive, reply = (self._count, list(theirs.values())) if own else (self._hand_over, found.reply)
            place.hand_over(receive, reply, before=lambda: update(found, theirs))
            # A graph that returns nothing at all would be rewritten in another way, again.
            return [*found.losses, tf.zeros(())] if place.answers_early else found.reply

        self._function = place.traced(step, [each.spec for each in signature.inputs])
        self.structure, self.outputs, self.shadow = described[0]

    @property
    def graph(self) -> Any:
        """As traced, on one device."""
        return self._function.get_concrete_function().graph

    def __call__(self, values: Sequence[np.ndarray], caller: Caller) -> None:
        """Computes a step for a caller. Not thread-safe."""
        self._caller = caller
        results = self._function(*self._place.scatter(values))
        if self._place.answers_early:
            self.losses = results[:-1]
        else:
            roles = [each.role for each in self.outputs]
            caller.answer([np.asarray(each) for each in self._place.gather(results, roles)])

    def _settled(self, found: Backward) -> Measures:
        own = found.measures
        said = [*found.reply, *own.values()]
        received = self._place.ask(self._asked("measured"), said, [each.dtype for each in own.values()])
        for each, like in zip(received, own.values(), strict=True):
            each.set_shape([None] * like.shape.rank)
        return dict(zip(own, received, strict=True))

    def _count(self, *theirs: np.ndarray) -> None:
        del theirs
        self._caller.answer([])

    def _hand_over(self, *reply: np.ndarray) -> None:
        self._caller.answer(list(reply))

    def _asked(self, question: str) -> Callable[..., list[np.ndarray]]:
        return lambda *said: self._caller.ask(question, list(said))


def describe(y_pred: Any, losses: list[Ranked], *, masks: bool, logits: bool) -> Description:
    """Flattens outputs with all that belongs to them.

    Logits travel beside the probabilities since Keras computes a cross-entropy from the logits
    wherever it finds them on the tensor, and its value differs in the last bits otherwise.

    Args:
        y_pred: Nested outputs.
        losses: Ranked loss terms.
        masks: Whether a loss is computed from these outputs.
        logits: Whether it reads the logits behind them.
    """
    flat = tree.flatten(y_pred)
    found = [(Output.of("output", each, at), each) for at, each in enumerate(flat)]
    for at, each in enumerate(flat):
        extras = {
            "logits": logits_of(each) if logits else None,
            "mask": getattr(each, "_keras_mask", None) if masks else None,
        }
        found += [(Output.of(role, extra, at), extra) for role, extra in extras.items() if extra is not None]
    found += [(Output.of("loss_term", term, rank=rank), term) for rank, term in losses]
    return tree.pack_sequence_as(y_pred, range(len(flat))), *map(list, zip(*found, strict=True))


def logits_of(tensor: Any) -> Any | None:
    """What a final softmax or sigmoid was applied to, as Keras' losses would find it."""
    logits = getattr(tensor, "_keras_logits", None)
    # Outside of a graph a tensor has no operation.
    if logits is None and tf.inside_function() and tensor.op.type in ("Softmax", "Sigmoid"):
        logits = tensor.op.inputs[0]
    return logits
