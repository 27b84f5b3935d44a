"""What one batch does in both halves: to train, to evaluate, to predict."""

from __future__ import annotations

import functools
from typing import Any, cast

import keras
import tensorflow as tf
from keras import tree

from keras_split.errors import ProtocolError
from keras_split.model.ahead import build_metrics
from keras_split.model.bridge import Bridge
from keras_split.model.decoder import Decoder, places
from keras_split.model.labelled import Labelled, by_class
from keras_split.model.made import Made
from keras_split.model.persistent import Persistent
from keras_split.model.pulled import Pulled
from keras_split.model.reconstruction import reconstruct
from keras_split.model.reply import Reply
from keras_split.model.tail import Tail, floating
from keras_split.segment import apply_gradients, draws_of_its_own, innermost, logits_beside, measure
from keras_split.session import Prepared


class BatchSteps(Persistent):
    """The steps that Keras' loops over batches call."""

    head: keras.Model
    _tail: Tail | None
    _decoder: Decoder | None
    _bridge: Bridge
    _alpha: Any
    _class_weight: dict[int, float] | None
    _mode: str
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
        with tf.GradientTape() as tape:
            made = self._run_head(x, training=True)
            local = [self._summed(term) for _, term in self._halves.head.losses()]
            scaled = [self.optimizer.scale_loss(each) for each in local]
        pulls = (made, *made.pulled_on(shares_labels=self._tail is None), scaled)
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
            first = head.gradients(self.head.trainable_variables, reply.cut_gradients)
            self._update(head, first, reply, prepared)
        return reply.outputs, loss

    def _label_free_step(self, data: Any, head: Pulled, volatile: Any) -> tuple[Any, Any]:
        """Labels, loss and outputs stay here; the server gets gradients of its own outputs."""
        tail = cast(Tail, self._tail)
        sent = head.sent
        graded = tail.graded(self._probed_loss, *data[1:])
        reply, prepared = self._bridge.forward(sent.smashed, graded=graded, **self._wanted(volatile))
        inputs = tail.inputs(reply.outputs, sent.kept, sent.logits)
        with tf.GradientTape() as tape:
            tape.watch(floating(inputs))
            y_pred = tail.run(inputs, sent.logits, training=True)
            loss = self._total_loss(data, y_pred, reply.loss_terms)
            scaled = self.optimizer.scale_loss(loss)
        variables = tail.part.model.trainable_variables
        found = tape.gradient(scaled, [*inputs, *variables])
        returned, own = found[: len(inputs)], found[len(inputs) :]
        cut = self._bridge.backward(prepared, [tf.convert_to_tensor(returned[at]) for at in graded])
        if head.rows is not None:
            # Statistics and seeds of a tail that has seen no row.
            head.rows.keep_if_none(tail.part.model, volatile)
        with self._bridge.after(cut):
            pulls = returned[len(inputs) - len(head.kept) :]
            first = head.gradients(self.head.trainable_variables, cut.cut_gradients, pulls)
            self._update(head, [*first, *zip(own, variables, strict=True)], cut, prepared)
        return y_pred, loss

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

    def _probed_loss(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        with self._halves.losses_of(self, []):
            return self._compute_loss(y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)

    def test_step(self, data: Any) -> dict[str, Any]:
        """As Keras', with the body's regularisers in the loss; with a decoder, of the labelled rows."""
        self._mode = "test"
        if self._decoder is not None:
            data = Labelled(keras.utils.unpack_x_y_sample_weight(data)[1]).of(data)
        try:
            return super().test_step(data)
        finally:
            self._mode = "predict"
            self._losses_override.clear()

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Inference over both halves. Gradients do not flow through it: `fit` trains."""
        if training:
            raise ValueError(
                "A SplitModel is trained by `fit` or `train_on_batch`, not by calling it with "
                "`training=True`: the server's half would be left out. Received: training=True."
            )
        self._halves.follow(self)
        made = self._run_head(inputs, training=False, mask=mask)
        travels = self._tail is None and self._mode == "test"
        reply = self._bridge.infer(
            made.smashed,
            made.logits if travels else {},
            self._mode,
            may_be_empty=self._decoder is not None,
        )
        outputs = reply.outputs
        if self._tail is not None:
            read = self._tail.inputs(outputs, made.kept, made.logits)
            outputs = self._tail.run(read, made.logits, training=False)
        if self._mode == "test":
            self._halves.add_losses(self, reply.loss_terms)
            self._observe(made.smashed, inputs)
        return outputs

    def evaluated(self, inputs: Any) -> Any:
        """Outputs as a loss reads them, for steps of the user's own."""
        self._mode = "test"
        try:
            return self(inputs, training=False)
        finally:
            self._mode = "predict"

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
        self.train_function: Any = passing(self, self._bridge.guarded(self.train_function))

    def make_test_function(self, force: bool = False) -> None:
        """Keras', with the server's errors coming out as they are."""
        self._halves.follow_values(self)
        super().make_test_function(force)
        self.test_function: Any = self._bridge.guarded(self.test_function)

    def make_predict_function(self, force: bool = False) -> None:
        """Keras', with the server's errors coming out as they are."""
        self._halves.follow_values(self)
        super().make_predict_function(force)
        self.predict_function: Any = self._bridge.guarded(self.predict_function)

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


def _rows(x: Any) -> Any:
    return tf.shape(next(each for each in tree.flatten(x) if each is not None))[0]
