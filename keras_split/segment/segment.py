"""A part of a model with its optimizer and loss, run for a caller that it does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from keras_split.segment.draws import draws_of_its_own
from keras_split.segment.masks import call_with_masks, takes_masks
from keras_split.segment.names import named_as
from keras_split.segment.passed import give_logits
from keras_split.segment.placement import Mirrored, Single
from keras_split.segment.reading import reads_logits
from keras_split.segment.shadow import Leaf, Shadow
from keras_split.segment.signature import Output, Signature
from keras_split.segment.tape import Tape, arrived, roots_of
from keras_split.segment.traced import (
    Backward,
    Description,
    Ranked,
    RankedLosses,
    TracedInference,
    TracedStep,
    describe,
)
from keras_split.segment.updates import Measures, apply_gradients, leave_undecayed, measure, swap_averages


@dataclass(frozen=True)
class Settings:
    """What a part is trained with.

    Args:
        optimizer: Keras optimizer, owned by the segment from here on.
        loss: As in `keras.Model.compile`.
        loss_weights: As in `keras.Model.compile`.
        undecayed: Places in the whole model of the weights that weight decay leaves alone.
    """

    optimizer: keras.optimizers.Optimizer
    loss: Any
    loss_weights: Any = None
    undecayed: Sequence[int] = ()


class Segment:
    """Runs one contiguous part of a model.

    Args:
        model: Built Keras model. Inputs are the frontier: a list of `(batch, ...)`.
        losses: The part's ranked add_loss() and regulariser values after a call.
        masks: For each frontier tensor, which other one is its mask, or None.
        output_names: The whole model's output names, by which losses may be given.
        placed: Its weights by their places in the whole model.
        states: Variables of stateful layers, which are none of the model's for Keras.
        shares_labels: Whether this part ends with the model's outputs and gets the labels. If not, its
            steps ask for the gradients of its outputs (paper, section 3.6).
        whole: The whole model's name.
        place: Where to compute.
    """

    def __init__(
        self,
        model: keras.Model,
        losses: RankedLosses,
        masks: list[int | None],
        output_names: list[str],
        placed: Mapping[int, Any],
        whole: str,
        place: Single | Mirrored | None = None,
        *,
        states: Sequence[Any] = (),
        shares_labels: bool = True,
    ):
        self.model = named_as(whole, takes_masks(model))
        self._shares_labels = shares_labels
        self._reads_logits = True
        self.optimizer: Any = None
        self._losses = losses
        self._masks = masks
        self._states = list(states)
        self._placed = placed
        self._place = place or Single()
        if shares_labels:
            # Passed-through outputs have other names here than in the whole model.
            model.output_names = output_names

    def compile(self, settings: Settings) -> None:
        """Sets optimizer and loss; the optimizer's variables start anew."""
        with self._place.scope():
            self.model.compile(
                optimizer=settings.optimizer,
                loss=settings.loss if self._shares_labels else None,
                loss_weights=settings.loss_weights if self._shares_labels else None,
                jit_compile=False,
                # Whoever compiled the whole model has said whether the loss is scaled.
                auto_scale_loss=False,
            )
            # Who reads logits keeps TensorFlow from fusing a layer with its sigmoid.
            self._reads_logits = reads_logits(settings.loss)
            self.optimizer = self.model.optimizer
            leave_undecayed(self.optimizer, self._placed, settings.undecayed)
            self.optimizer.build(self.model.trainable_variables)

    def trace_inference(
        self, signature: Signature, *, outputs_only: bool, combines_below: int = 0
    ) -> TracedInference:
        """Compiles inference; `outputs_only` leaves away what only losses need."""

        def forward(received: list[Any]) -> Description:
            smashed = signature.shared(received)
            with draws_of_its_own(self.model):
                y_pred = self._forward(signature, smashed, training=False)
            terms = [] if outputs_only else self._losses()
            structure, outputs, tensors = self._described(y_pred, terms, outputs_only)
            return structure, signature.seen(smashed, outputs, tensors), tensors

        return TracedInference(forward, signature, self._place, combines_below)

    def trace_step(self, signature: Signature) -> TracedStep:
        """Compiles a training step."""
        return TracedStep(
            forward_backward=lambda flat, respond: self._forward_backward(signature, flat, respond),
            update=self._apply,
            signature=signature,
            place=self._place,
        )

    @property
    def answers_early(self) -> bool:
        """Whether a step's reply is known before anything trained changes."""
        return self._place.answers_early

    def variables(self) -> list[Any]:
        """All that a step may change."""
        return [*self.model.variables, *self._states, *self.optimizer.variables]

    def volatile(self) -> list[Any]:
        """What a forward pass may change by itself."""
        return [each for each in (*self.model.variables, *self._states) if not each.trainable]

    def set_learning_rate(self, value: float) -> None:
        """Follows the caller's rate; for optimizers whose rate is a variable."""
        # Most steps bring the rate that is there already, and setting it costs more than looking.
        # By way of a tensor, since a mirrored variable is no number.
        if float(tf.convert_to_tensor(self.optimizer.learning_rate)) != value:
            self.optimizer.learning_rate = value

    def finalize(self) -> None:
        """What the optimizer does to the weights once training is over."""
        self.optimizer.finalize_variable_values(self.model.trainable_variables)

    def swap_averages(self, *, keeps: bool) -> None:
        """Has weights and their moving averages change places, as the callback `SwapEMAWeights` does.

        Args:
            keeps: The averages become what the weights are, in place of that.
        """
        callback = keras.callbacks.SwapEMAWeights()
        callback.set_model(self.model)
        swap_averages(callback, keeps=keeps)

    def _forward(self, signature: Signature, smashed: list[Any], training: bool) -> Any:
        frontier = smashed[: len(self._masks)]
        outputs = call_with_masks(self.model, frontier, self._masks, training=training)
        logits = {owner: smashed[at] for owner, at in signature.logits.items()}
        return give_logits(self.model, outputs, logits)

    def _described(self, y_pred: Any, terms: list[Ranked], outputs_only: bool = False) -> Description:
        for_losses = self._shares_labels and not outputs_only
        return describe(y_pred, terms, masks=for_losses, logits=for_losses and self._reads_logits)

    def _forward_backward(
        self, signature: Signature, flat: tuple[Any, ...], respond: Callable[..., Any]
    ) -> Backward:
        # In front of the tape: behind it, a tensor that nobody reads would get a gradient of zeros.
        smashed = signature.shared(signature.smashed(flat))
        wanted = [each for each in smashed if each.dtype.is_floating and signature.wants_cut_gradients]
        tape = Tape()
        with tape, draws_of_its_own(self.model):
            tape.watch(wanted)
            y_pred = self._forward(signature, smashed, training=True)
            terms = self._losses()
            data, own, parts = self._loss_parts(signature, flat, y_pred, terms)
        structure, outputs, tensors = self._described(y_pred, terms)
        outputs = signature.seen(smashed, outputs, tensors)
        variables = [each.value for each in self.model.trainable_variables]
        if self._shares_labels:
            roots = roots_of(data, own)
        else:
            behind = signature.shadow
            graded = [tree.flatten(y_pred)[at] for at in signature.graded]
            dtypes = [each.dtype for each in graded]
            received = [
                arrived(gradient, like, name, tied=tied)
                for gradient, like, (name, tied) in zip(
                    self._place.ask(respond, tensors, dtypes), graded, behind.made, strict=True
                )
            ]
            keys = tape.cast(behind, tree.flatten(y_pred), lambda place, _: received[place])
            theirs = [(rank, keys[number]) for rank, number in behind.terms if number is not None]
            roots = roots_of(None if behind.data is None else keys[behind.data], [*theirs, *own])
            tensors = []  # They have been sent.
        found = tape.pull(roots, apart=wanted, sources=[*wanted, *variables])
        shadow, leaves = Shadow(), list[Leaf]()
        if wanted:
            seen = own if self._shares_labels else terms
            shadow, leaves = tape.shadow(found, smashed, data, seen, tree.flatten(y_pred))
        outputs += [Output.of("cut_gradient", leaf.tensor, leaf.number) for leaf in leaves]
        tensors += [leaf.tensor for leaf in leaves]
        gradients = [found.of(each) for each in variables]
        measures = measure(self.optimizer, self._with_variables(gradients), self._placed)
        return Backward(structure, outputs, tensors, gradients, shadow, measures, parts)

    def _loss_parts(
        self, signature: Signature, flat: tuple[Any, ...], y_pred: Any, terms: list[Ranked]
    ) -> tuple[Any, list[Ranked], list[Any]]:
        """The summands whose gradients are this part's: the data's loss and the body's own terms.

        Their sum is never formed here: its derivative by each of them is 1, and the caller adds
        them up in the whole model's order.

        Returns:
            The data's loss and the ranked terms, scaled as the optimizer wants them; all of them unscaled.
        """
        own = [(rank, self.model._aggregate_additional_loss(term)) for rank, term in terms]
        loss = self.model._compile_loss
        data = None
        if loss is not None:
            labels, sample_weight = signature.targets(flat)
            data = loss(labels, y_pred, sample_weight)
        scale = self.optimizer.scale_loss
        parts = [*([] if data is None else [data]), *(each for _, each in own)]
        return None if data is None else scale(data), [(rank, scale(each)) for rank, each in own], parts

    def _apply(self, found: Backward, theirs: Measures) -> None:
        with draws_of_its_own(self.model, self.optimizer.variables):
            apply_gradients(self.optimizer, self._with_variables(found.gradients), found.measures, theirs)

    def _with_variables(self, gradients: list[Any]) -> list[tuple[Any, Any]]:
        return list(zip(gradients, self.model.trainable_variables, strict=True))
