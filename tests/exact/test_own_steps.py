"""Steps of a class of the user's own are run where they can be, and refused where not."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

import keras_split
from keras_split.errors import Refused
from support.models import mlp, mlp_case
from support.pairs import assert_trains_as_whole

CASE = mlp_case()


class Around(keras.Model):
    """Does something before and after what Keras does, and evaluates by itself, as Keras' guides have it."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.own = keras.metrics.Mean(name="own")
        self.factor = 1.5

    def scaled(self, x):
        return x * self.factor

    def train_step(self, data):
        x, y = data
        logs = super().train_step((self.scaled(x), y))
        self.own.update_state(x)
        return {**logs, "most": tf.reduce_max(x)}

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        for metric in self.metrics:
            if metric.name in ("loss", "own"):
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        found = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**found, "sure": tf.reduce_max(y_pred)}


class FurtherAround(Around):
    """`super()` is another class of the user's own."""

    def predict_step(self, data):
        return tf.argmax(super().predict_step(data), axis=-1)

    def scaled(self, x):
        return super().scaled(x) + 1.0


def build(kind: type = FurtherAround) -> keras.Model:
    model = mlp()
    return kind(model.inputs, model.outputs, name="around")


def test_steps_around_those_of_keras_do_what_they_do_to_the_whole_model():
    result = assert_trains_as_whole(build, CASE.cut, CASE.settings(), CASE.fit_and_use, None, "high_drop")
    assert {"own", "most", "sure", "val_own"} <= set(result[0].history)


class Taping(keras.Model):
    def train_step(self, data):
        with tf.GradientTape():
            self(data[0], training=True)
        return {}


class Looking(keras.Model):
    def train_step(self, data):
        return {**super().train_step(data), "size": tf.norm(self.trainable_variables[0])}


class Noisy(keras.Model):
    def train_step(self, data):
        x, y = data
        return super().train_step((x + tf.random.normal(tf.shape(x)), y))


@pytest.mark.parametrize(
    ("kind", "error", "reason"),
    [
        (Taping, ValueError, "no gradient would reach the server's half"),
        (Looking, ValueError, r"uses `self.trainable_variables`, which is another in a split model"),
        (Noisy, Refused, "draws by TensorFlow's RandomStandardNormal"),
    ],
)
def test_a_step_that_needs_both_halves_is_refused_before_the_first_one(kind, error, reason):
    split = keras_split.SplitModel(build(kind), CASE.cut)
    split.compile(**CASE.settings()())
    with pytest.raises(error, match=reason):
        CASE.fit(split)
    assert split.optimizer.iterations == 0
    split.close()


def overriding(name: str, value: object) -> keras.Model:
    return build(type("Own", (keras.Model,), {name: value}))


@pytest.mark.parametrize(
    "name",
    ["call", "compute_loss", "compile", "fit", "make_train_function", "get_metrics_result", "compute_mask"],
)
def test_what_cannot_be_run_is_refused_with_its_name(name):
    model = overriding(name, lambda self, x=None, *args, **options: x)
    with pytest.raises(ValueError, match=f"Own defines `{name}` anew"):
        keras_split.SplitModel(model, CASE.cut)


def test_properties_methods_of_an_instance_and_decorated_steps_are_refused():
    with pytest.raises(ValueError, match="Own defines `metrics` anew"):
        keras_split.SplitModel(overriding("metrics", property(lambda self: [])), CASE.cut)
    patched = mlp()
    patched.train_step = lambda data: {}
    with pytest.raises(ValueError, match="defines `train_step` anew"):
        keras_split.SplitModel(patched, CASE.cut)
    decorated = overriding("train_step", tf.function(lambda self, data: {}))
    with pytest.raises(ValueError, match="no plain function"):
        keras_split.SplitModel(decorated, CASE.cut)


def test_a_class_that_only_adds_to_kerass_is_split_as_any_other():
    model = overriding("get_config", lambda self: {})
    keras_split.SplitModel(model, CASE.cut).close()
    keras_split.SplitModel(overriding("another", lambda self: 1), CASE.cut).close()
