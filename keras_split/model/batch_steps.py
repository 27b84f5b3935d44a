"""What one batch does in both halves: to train, to evaluate, to predict."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import keras
import tensorflow as tf
from keras import tree

from keras_split.errors import ProtocolError
from keras_split.model.bridge import Bridge
from keras_split.model.decoder import Decoder, places
from keras_split.model.equality import Equality
from keras_split.model.labelled import Labelled, by_class
from keras_split.model.made import Made
from keras_split.model.persistent import Persistent
from keras_split.model.pulled import Pulled
from keras_split.model.reconstruction import reconstruct
from keras_split.model.reply import Reply
from keras_split.model.tail import Tail, floating
from keras_split.segment import (
    Tape,
    apply_gradients,
    build_metrics,
    draws_of_its_own,
    innermost,
    logits_beside,
    measure,
    roots_of,
)
from keras_split.session import Prepared

_NOT_TRAINED_SO = (
    "A SplitModel is trained by its own `fit` or `train_on_batch`, not by calling it with `training=True`, "
    "as another model's `fit` does with its layers: the server's half would be left out. Where it is not to "
    "be trained, call it with `training=False` in a `call` or `train_step` of your own. "
    "Received: training=True."
)


class BatchSteps(Persistent):
    """The steps that Keras' loops over batches call."""

    head: keras.Model
    _tail: Tail | None
    _decoder: Decoder | None
    _bridge: Bridge
    _equality: Equality
    _alpha: Any
    _class_weight: dict[int, float] | None
    _mode: str
    _probe: Any
    _reconstruction_tracker: Any
    steps_to_pass: int
    has_passed: bool

    @property
    def compute_dtype(self) -> str:
        """That of the variables: layers cast for themselves, and `call` looks at variables as they are."""
        return str(self.variable_dtype)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One training step (paper, Algorithm 1, lines 5 to 11; label-free, section 3.6; Algorithm 3)."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self._halves.follow(self, trains=True)
        volatile = self._halves.volatile()
        head = self._forward_head(x, y)
        y, sample_weight = head.labelled((y, sample_weight))
        if self._class_weight is not None:
            sample_weight = by_class(y, sample_weight, self._class_weight)
        work = self._shared_step if self._tail is None else self._label_free_step
        y_pred, loss = work((x, y, sample_weight), head, volatile)
        rows = _rows(x) if head.rows is None else head.rows.count
        self._loss_tracker.update_state(loss, sample_weight=rows)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _forward_head(self, x: Any, y: Any) -> Pulled:
        with Tape() as tape:
            made = self._run_head(x, training=True)
            scale = self.optimizer.scale_loss
            local = [(rank, scale(self._summed(term))) for rank, term in self._halves.head.losses()]
        pulls = (made, *made.pulled_on(shares_labels=self._tail is None), local)
        if self._decoder is None:
            return Pulled(tape, *pulls)
        seen = {at: made.smashed[at] for at in places(self._halves.topology["frontier"])}
        found = reconstruct(self._decoder, seen, x, self._alpha, self.optimizer.scale_loss)
        self._reconstruction_tracker.update_state(found.loss, sample_weight=_rows(x))
        return Pulled(tape, *pulls, Labelled(y), found)

    def _shared_step(self, data: Any, head: Pulled, volatile: Any) -> tuple[Any, Any]:
        """The server has the labels and computes all gradients behind the cut."""
        _, y, sample_weight = data
        sent = head.sent
        wanted = self._wanted(volatile)
        reply, prepared = self._bridge.train(sent.smashed, sent.logits, y, sample_weight, **wanted)
        # Before the update, which moves what regularisers look at.
        loss = self._total_loss(data, reply.outputs, reply.loss_terms)
        with self._bridge.after(reply):
            first = head.shared_gradients(self.head.trainable_variables, reply)
            self._update(head, first, reply, prepared)
        return reply.outputs, loss

    def _label_free_step(self, data: Any, head: Pulled, volatile: Any) -> tuple[Any, Any]:
        """Labels, loss and outputs stay here; the server gets gradients of its own outputs."""
        tail, tape = cast(Tail, self._tail), head.tape
        sent = head.sent
        seen = tail.seen(self._data_loss, *data[1:])
        known = {"graded": seen.graded, "behind": seen.shadow, **self._wanted(volatile)}
        reply, prepared = self._bridge.forward(sent.smashed, **known)
        inputs = tail.inputs(reply, sent.smashed, sent.kept, sent.logits)
        returned = inputs[: tail.returned]
        cut: list[Reply] = []
        arrive = head.arriving(lambda: cut[0])
        tape.cast(reply.shadow, head.smashed, arrive, _standing_for(reply, returned))
        for copy, original in zip(inputs[tail.returned :], head.kept, strict=True):
            tape.copied(copy, original, partial(head.among_all, tensor=original))
        since = len(tape.steps)
        with tape:
            tape.watch(floating(inputs))
            y_pred = tail.run(inputs, sent.logits, training=True)
            loss = self._total_loss(data, y_pred, reply.loss_terms)
            scaled = self.optimizer.scale_loss(loss)
        roots = roots_of(scaled, [])
        behind = tape.pull(roots, apart=floating(returned), since=since, sources=self._values())
        leaves = tape.shadow(behind, returned, None, [])[1]
        cut.append(self._bridge.backward(prepared, [leaf.tensor for leaf in leaves]))
        if head.rows is not None:
            # Statistics and seeds of a tail that has seen no row.
            head.rows.keep_if_none(tail.part.model, volatile)
        with self._bridge.after(cut[0]):
            self._update(head, head.gradients(self._trained(), roots), cut[0], prepared)
        return y_pred, loss

    def _trained(self) -> list[Any]:
        """Of head and tail."""
        return [each for part in self._halves.own for each in part.model.trainable_variables]

    def _values(self) -> list[Any]:
        return [each.value for each in self._trained()]

    def _wanted(self, volatile: Any) -> dict[str, Any]:
        return {
            "learning_rate": self._learning_rate(),
            # With a decoder the server counts the batches that have labels.
            "iterations": None if self._decoder is not None else innermost(self.optimizer)._iterations,
            "wants_cut_gradients": bool(self.head.trainable_variables),
            "volatile": volatile,
            "may_be_empty": self._decoder is not None,
        }

    def _total_loss(self, data: Any, y_pred: Any, theirs: Any) -> Any:
        x, y, sample_weight = data
        with self._halves.losses_of(self, theirs):
            return self._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)

    def _data_loss(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """Without the layers' own terms; None where there is none."""
        loss = self._compile_loss
        return None if loss is None else loss(y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """As Keras', with the body's regularisers in the loss; with a decoder, of the labelled rows."""
        self._mode = "test"
        if self._decoder is not None:
            data = Labelled(keras.utils.unpack_x_y_sample_weight(data)[1]).of(data)
        try:
            return super().test_step(data)
        finally:
            self._mode = "call"
            self._losses_override.clear()

    def predict_step(self, data: Any) -> Any:
        """As Keras'."""
        self._mode = "predict"
        try:
            return super().predict_step(data)
        finally:
            self._mode = "call"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras', with the server's errors coming out as they are."""
        call = functools.partial(super().__call__, *args, **kwargs)
        # Within a step it is the step that is guarded.
        return self._bridge.guarded(call)() if self._mode == "call" else call()

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Inference over both halves.

        Gradients do not flow through it, and are refused where they are asked for: `fit` trains.
        """
        if training:
            self._bridge.refuse(ValueError(_NOT_TRAINED_SO))
        self._halves.follow(self)
        made = self._run_head(inputs, training=False, mask=mask)
        if self._mode == "call":
            outputs = self._refusing_gradients(made.smashed, inputs)
        else:
            travels = self._tail is None and self._mode == "test"
            reply = self._infer(made.smashed, made.logits if travels else {}, self._mode)
            outputs = reply.outputs
        if self._tail is not None:
            read = self._tail.inputs(reply, made.smashed, made.kept, made.logits)
            outputs = self._tail.run(read, made.logits, training=False)
        if self._mode == "test":
            self._halves.add_losses(self, reply.loss_terms)
            self._observe(made.smashed, inputs)
        return outputs

    def _infer(self, smashed: list[Any], logits: Any, mode: str) -> Reply:
        return self._bridge.infer(smashed, logits, mode, may_be_empty=self._decoder is not None)

    def _refusing_gradients(self, smashed: list[Any], inputs: Any) -> Any:
        """The server's outputs, of which a tape gets an error in place of no gradient."""
        trains = self.trainable and (self.trainable_variables or self._halves.body_may_train())
        if trains:
            # The probe is watched wherever a user would expect the server's weights to be trained.
            watched = [*smashed, tf.convert_to_tensor(self._probe)]
        else:
            # TensorFlow watches frozen variables as well, and a tape asks all that it has watched. What a
            # frozen model may still be asked for is the gradient of its inputs.
            given = [tf.convert_to_tensor(each) for each in tree.flatten(inputs) if each is not None]
            watched = [*map(tf.stop_gradient, smashed), *floating(given)]
        outputs = self._infer(watched[: len(smashed)], {}, "predict").outputs

        @tf.custom_gradient
        def asked(*_: Any) -> tuple[list[Any], Callable[..., Any]]:
            return [tf.identity(each) for each in tree.flatten(outputs)], _refuse_gradients

        return tree.pack_sequence_as(outputs, tree.flatten(asked(*watched)))

    def evaluated(self, inputs: Any) -> Any:
        """Outputs as a loss reads them, for steps of the user's own."""
        self._mode = "test"
        try:
            return self(inputs, training=False)
        finally:
            self._mode = "call"

    def evaluated_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The loss of what `evaluated` returned last."""
        try:
            return self._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
        finally:
            self._losses_override.clear()

    def make_train_function(self, force: bool = False) -> None:
        """Keras', with the server's errors coming out as they are."""
        # TensorFlow traces a function again that has made variables, and the first step waits for it.
        self._halves.follow_values(self)
        self._build_optimizer()
        super().make_train_function(force)
        function = self._equality.checked("train", self._bridge.guarded(self.train_function))
        self.train_function: Any = passing(self, function)

    def make_test_function(self, force: bool = False) -> None:
        """Keras', with the server's errors coming out as they are."""
        self._halves.follow_values(self)
        super().make_test_function(force)
        self.test_function: Any = self._equality.checked("test", self._bridge.guarded(self.test_function))

    def make_predict_function(self, force: bool = False) -> None:
        """Keras', with the server's errors coming out as they are."""
        self._halves.follow_values(self)
        super().make_predict_function(force)
        function = self._bridge.guarded(self.predict_function)
        self.predict_function: Any = self._equality.checked("predict", function)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Keras', of metrics that are there already, so that the step is traced once."""
        build_metrics(self, y, y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_metrics_result(self) -> Any:
        """Keras', but for a program that has passed over an epoch and measured nothing so far."""
        metrics = self._compile_metrics
        if self.has_passed and metrics is not None and not metrics.built:
            return {}
        return super().get_metrics_result()

    def _run_head(self, inputs: Any, **options: Any) -> Made:
        """What travels, and what the tail reads of it."""
        with draws_of_its_own(self.head):
            outputs = tree.flatten(self.head(inputs, **options))
        frontier = self._halves.topology["frontier"]
        smashed, kept = outputs[: len(frontier)], outputs[len(frontier) :]
        if self._tail is None:
            return Made(smashed, kept, logits_beside(smashed, frontier))
        return Made(smashed, kept, self._tail.logits(kept))

    def _update(
        self, head: Pulled, gradients: list[tuple[Any, Any]], reply: Reply, prepared: Prepared
    ) -> None:
        """Paper, Algorithm 1, line 11; Algorithm 3, line 14."""
        if head.reconstruction is not None:
            gradients = [*gradients, *head.reconstruction.own]
        own = measure(self.optimizer, gradients, self._halves.by_place())
        if own.keys() != reply.measures.keys():
            raise ProtocolError(
                "The server's optimizer looks at other things in the gradients than this one. Do both sides "
                "run the same version, with the same compile settings?"
            )
        with draws_of_its_own(self.head, (*self.variables, *self.optimizer.variables)):
            if not own:
                apply_gradients(self.optimizer, gradients)
                return
            with self._bridge.after(self._bridge.settle(prepared, list(own.values()))):
                apply_gradients(self.optimizer, gradients, own, reply.measures)

    def _summed(self, term: Any) -> Any:
        return self._aggregate_additional_loss(term)

    def _observe(self, smashed: list[Any], x: Any) -> None:
        """The reconstruction of rows that are evaluated."""
        if self._decoder is not None:
            seen = [smashed[at] for at in places(self._halves.topology["frontier"])]
            loss = self._decoder.value(seen, x, training=False)
            # No row has no mean.
            loss = tf.where(_rows(x) > 0, loss, tf.zeros_like(loss))
            self._reconstruction_tracker.update_state(loss, sample_weight=_rows(x))

    def _learning_rate(self) -> Any:
        """What travels with each update; None for schedules, which both sides follow by themselves."""
        schedule = keras.optimizers.schedules.LearningRateSchedule
        if isinstance(innermost(self.optimizer)._learning_rate, schedule):
            return None
        return self.optimizer.learning_rate


def _standing_for(reply: Reply, returned: Sequence[Any]) -> dict[int, Any]:
    """Tensors of this side for those of the server's operations that have come from there."""
    if not reply.shadow.outputs:
        return {}  # Of a head that is not trained nobody goes back through the server's operations.
    terms = zip(
        (number for _, number in reply.shadow.terms), (each for _, each in reply.loss_terms), strict=True
    )
    pairs = [*zip(reply.shadow.outputs, returned, strict=True), *terms]
    return {number: tensor for number, tensor in pairs if number is not None}


def passing(model: Any, function: Any) -> Any:
    """Takes batches that were trained before out of the data, as many as `steps_to_pass` says."""
    if getattr(function, "_is_passing", False):
        return function

    @functools.wraps(function)
    def call(iterator: Any) -> Any:
        if model.steps_to_pass <= 0:
            return function(iterator)
        for _ in range(min(model.steps_per_execution, model.steps_to_pass)):
            next(iterator)
            model.has_passed = True
            model.steps_to_pass -= 1
        # Nothing was measured; a mean of nothing would stand in the History as a loss of 0.
        return {}

    call._is_passing = True  # type: ignore[attr-defined]
    return call


def _refuse_gradients(*_: Any) -> Any:
    raise ValueError(
        "A gradient was asked for through a SplitModel, and the server gives gradients to the model's own "
        "`fit` and `train_on_batch` alone. Where the model is only looked at, as a teacher is, set "
        "`split.trainable = False` or wrap its outputs in `keras.ops.stop_gradient`; with a private server, "
        "`split.whole_model()` has gradients. Received: a tape around split(x)."
    )


def _rows(x: Any) -> Any:
    return tf.shape(next(each for each in tree.flatten(x) if each is not None))[0]
