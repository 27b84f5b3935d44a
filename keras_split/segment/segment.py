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
from keras_split.segment.passed import give_logits
from keras_split.segment.placement import Mirrored, Single
from keras_split.segment.pulls import arrived, pulled_gradients
from keras_split.segment.reading import reads_logits
from keras_split.segment.rows import share_rows
from keras_split.segment.signature import Output, Signature
from keras_split.segment.traced import (
    Backward,
    Description,
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
        shares_labels: Whether this part ends with the model's outputs and gets the labels. If not, its
            steps ask for the gradients of its outputs (paper, section 3.6).
        place: Where to compute.
    """

    def __init__(
        self,
        model: keras.Model,
        losses: RankedLosses,
        masks: list[int | None],
        output_names: list[str],
        placed: Mapping[int, Any],
        place: Single | Mirrored | None = None,
        *,
        shares_labels: bool = True,
    ):
        self.model = takes_masks(model)
        self._shares_labels = shares_labels
        self._reads_logits = True
        self.optimizer: Any = None
        self._losses = losses
        self._masks = masks
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
        return TracedInference(
            forward=lambda smashed: self._inferred(signature, smashed),
            describe=lambda y_pred: self._describe(y_pred, outputs_only),
            signature=signature,
            place=self._place,
            combines_below=combines_below,
        )

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
        return [*self.model.variables, *self.optimizer.variables]

    def set_learning_rate(self, value: float) -> None:
        """Follows the caller's rate; for optimizers whose rate is a variable."""
        # Most steps bring the rate that is there already, and setting it costs more than looking.
        # By way of a tensor, since a mirrored variable is no number.
        if float(tf.convert_to_tensor(self.optimizer.learning_rate)) != value:
            self.optimizer.learning_rate = value

    def finalize(self) -> None:
        """What the optimizer does to the weights once training is over."""
        self.optimizer.finalize_variable_values(self.model.trainable_variables)

    def _inferred(self, signature: Signature, smashed: list[Any]) -> Any:
        with draws_of_its_own(self.model):
            return self._forward(signature, share_rows(smashed), training=False)

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

    def _describe(self, y_pred: Any, outputs_only: bool = False) -> Description:
        losses = [] if outputs_only else self._losses()
        for_losses = self._shares_labels and not outputs_only
        return describe(y_pred, losses, masks=for_losses, logits=for_losses and self._reads_logits)

    def _forward_backward(
        self, signature: Signature, flat: tuple[Any, ...], respond: Callable[..., Any]
    ) -> Backward:
        # In front of the tape: behind it, a tensor that nobody reads would get a gradient of zeros.
        smashed = share_rows(signature.smashed(flat))
        wanted = [at for at, each in enumerate(smashed) if each.dtype.is_floating]
        if not signature.wants_cut_gradients:
            wanted = []
        with tf.GradientTape() as tape:
            tape.watch([smashed[at] for at in wanted])
            with draws_of_its_own(self.model):
                y_pred = self._forward(signature, smashed, training=True)
                parts = self._loss_parts(signature, flat, y_pred)
            total = [self.optimizer.scale_loss(each) for each in parts]
        structure, outputs, tensors = self._describe(y_pred)
        sources = [*(smashed[at] for at in wanted), *self.model.trainable_variables]
        if self._shares_labels:
            gradients = tape.gradient(total, sources)
        else:
            graded = [tree.flatten(y_pred)[at] for at in signature.graded]
            found = self._place.ask(respond, tensors, [each.dtype for each in graded])
            received = [arrived(each, like) for each, like in zip(found, graded, strict=True)]
            gradients = pulled_gradients(tape, list(zip(graded, received, strict=True)), total, sources)
            tensors = []  # They have been sent.
        cut, own = gradients[: len(wanted)], gradients[len(wanted) :]
        for at, gradient in zip(wanted, cut, strict=True):
            # None, not zeros, where the loss does not depend on it: an optimizer tells them apart.
            if gradient is not None:
                outputs.append(Output.of("cut_gradient", gradient, at))
                tensors.append(gradient)
        measures = measure(self.optimizer, self._with_variables(own), self._placed)
        return Backward(structure, outputs, tensors, own, measures, parts)

    def _loss_parts(self, signature: Signature, flat: tuple[Any, ...], y_pred: Any) -> list[Any]:
        """The summands whose gradients are this part's: the data's loss and the body's own terms.

        Their sum is never formed here: its derivative by each of them is 1, and the caller adds
        them up in the whole model's order.
        """
        own = [self.model._aggregate_additional_loss(term) for _, term in self._losses()]
        loss = self.model._compile_loss
        if loss is None:
            return own
        labels, sample_weight = signature.targets(flat)
        data = loss(labels, y_pred, sample_weight)
        return own if data is None else [data, *own]

    def _apply(self, found: Backward, theirs: Measures) -> None:
        with draws_of_its_own(self.model, self.optimizer.variables):
            apply_gradients(self.optimizer, self._with_variables(found.gradients), found.measures, theirs)

    def _with_variables(self, gradients: list[Any]) -> list[tuple[Any, Any]]:
        return list(zip(gradients, self.model.trainable_variables, strict=True))
