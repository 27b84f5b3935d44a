"""What could not be exact is refused where the user asks for it, with the reason."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras.optimizers import SGD, Adam, LossScaleOptimizer, MultiOptimizer, OptimizerMap

import keras_split
from keras_split.errors import TopologyError
from support.models import mlp, mlp_case
from support.pairs import assert_trains_as_whole

CASE = mlp_case()


@pytest.fixture(scope="module")
def split():
    """One for all, since none of these tests gets as far as the server."""
    model = keras_split.SplitModel(mlp(), CASE.cut)
    yield model
    model.close()


class Global(SGD):
    """Sees all gradients at once."""

    def apply(self, grads, trainable_variables=None):
        super().apply(grads, trainable_variables)


def used() -> Adam:
    optimizer = Adam()
    optimizer.build([keras.Variable(np.zeros(3))])
    optimizer.iterations.assign(7)
    return optimizer


OPTIMIZERS = {
    "several_optimizers": (lambda: MultiOptimizer(OptimizerMap(SGD(0.1))), "several learning rates"),
    "used_optimizer": (used, "has been used.*counted 7 updates"),
    "used_optimizer_inside_another": (lambda: LossScaleOptimizer(used()), "has been used.*counted 7"),
    "optimizer_with_a_function_as_rate": (lambda: SGD(lambda: 0.1), "function as learning rate"),
    "optimizer_of_ones_own_that_sees_all": (Global, "Global defines `apply` anew"),
    "own_optimizer_inside_another": (lambda: LossScaleOptimizer(Global()), "Global defines `apply` anew"),
    "no_keras_optimizer": (lambda: tf.Module(), "Keras optimizer|Could not interpret"),
}


@pytest.mark.parametrize(("make", "reason"), OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_compile_refuses_optimizer(split, make, reason):
    with pytest.raises(ValueError, match=reason):
        split.compile(optimizer=make(), loss="mse")


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`:UserWarning")
def test_compile_refuses_a_loss_that_is_code(split):
    with pytest.raises(ValueError, match="A lambda has code in place of a config"):
        split.compile(optimizer="sgd", loss=lambda y, y_pred: keras.ops.mean(y - y_pred))


class Remembering(keras.losses.Loss):
    """A loss with a state."""

    def __init__(self):
        super().__init__()
        self.weight = keras.Variable(1.0)

    def call(self, y_true, y_pred):
        return keras.ops.mean(y_true - y_pred) * self.weight


def test_compile_refuses_a_loss_that_each_side_would_change_by_itself(split):
    with pytest.raises(ValueError, match="The loss Remembering has variables"):
        split.compile("sgd", Remembering())


def unregistered(y_true, y_pred):
    """A loss of which the server knows no more than the name."""
    return keras.ops.mean(y_true - y_pred)


@keras.saving.register_keras_serializable("tests")
def registered(x):
    """A function that another process finds by its module."""
    return keras.ops.relu(x)


class Unregistered(layers.Layer):
    """A layer of which a server knows no more than the name."""

    def call(self, x):
        return x


class WithoutConfig(layers.Layer):
    """A layer that cannot even be described."""

    def __init__(self, what: object, **options):
        super().__init__(**options)

    def call(self, x):
        return x


def test_compile_refuses_losses_that_the_server_cannot_find(split):
    with pytest.raises(TopologyError, match="loss .the function unregistered is not registered") as refused:
        split.compile(optimizer="sgd", loss=unregistered)
    assert "register_keras_serializable" in str(refused.value)
    assert not split.compiled


def test_all_layers_that_the_server_cannot_build_are_refused_at_once():
    inner = keras.Sequential([keras.Input((6,)), Unregistered(), layers.Dense(6)], name="inner")
    behind = [
        layers.Dense(6, activation=unregistered, name="function"),
        layers.Dense(6, activation=registered, name="fine"),
        layers.Lambda(lambda x: x, name="code"),
        WithoutConfig(object(), name="undescribed"),
        inner,
    ]
    model = keras.Sequential([keras.Input((6,)), Unregistered(), layers.Dense(6, name="low"), *behind])
    with pytest.raises(TopologyError) as refused:
        keras_split.SplitModel(model, "low")
    expected = [
        "'function' (the function unregistered is not registered)",
        "'code' (a lambda)",
        "'undescribed' (its config cannot be had: NotImplementedError)",
        "'inner' (the class Unregistered is not registered)",
    ]
    assert f"go to it: {'; '.join(expected)}. Register" in str(refused.value)


def test_jit_compile_is_turned_off_with_a_warning_and_stays_exact():
    settings = mlp_case(jit_compile=True).settings()

    def without_xla(model):
        # The whole model would be compiled by XLA, to other kernels.
        model.jit_compile = False
        return CASE.fit(model)

    with pytest.warns(UserWarning, match="turned off for the client's half"):
        assert_trains_as_whole(CASE.build, CASE.cut, settings, without_xla)


def test_a_frozen_model_with_a_layer_that_is_not_is_refused():
    model = mlp()
    model.trainable = False
    keras_split.SplitModel(model, CASE.cut).close()
    model.layers[-1].trainable = True
    with pytest.raises(ValueError, match=f"that of {model.layers[-1].name!r} in it is True"):
        keras_split.SplitModel(model, CASE.cut)


def test_a_layer_that_forgets_its_policy_is_refused():
    def build(**options):
        images = keras.Input((4, 4, 2))
        x = layers.Conv2D(3, 3, name="low")(images)
        return keras.Model(images, layers.SpatialDropout2D(0.2, name="drop", **options)(x))

    def fit(**options):
        split = keras_split.SplitModel(build(**options), "low")
        split.compile("sgd", "mse")
        try:
            split.fit(np.zeros((8, 4, 4, 2)), np.zeros((8, 2, 2, 3)), verbose=0)
        finally:
            split.close()

    keras.config.set_dtype_policy("mixed_bfloat16")
    with pytest.raises(ValueError, match="'drop' of class SpatialDropout2D as another one"):
        fit()
    fit(dtype="bfloat16")


def test_export_is_refused(split, tmp_path):
    with pytest.raises(ValueError, match="cannot be exported"):
        split.export(tmp_path / "model")


def test_weights_without_a_ticket_are_refused(split, tmp_path):
    with pytest.raises(ValueError, match="loads what it has saved"):
        split.load_weights(tmp_path / "head.h5")


def test_a_call_in_training_mode_is_refused(split):
    with pytest.raises(ValueError, match="trained by its own `fit` or `train_on_batch`"):
        split(CASE.x, training=True)


def test_ragged_labels_are_refused(split):
    ragged = tf.RaggedTensor.from_row_lengths(tf.range(8.0), [3, 0, 4, 1])
    data = tf.data.Dataset.from_tensors((CASE.x[:4], ragged))
    split.compile(optimizer="sgd", loss="mse")
    with pytest.raises(ValueError, match="Ragged and sparse tensors cannot cross the cut"):
        split.fit(data, shuffle=False, verbose=0)


def test_labels_of_unknown_rank_are_refused(split):
    data = tf.data.Dataset.from_generator(
        lambda: iter([(CASE.x[:4], np.zeros(4))]),
        output_signature=(tf.TensorSpec((4, 6)), tf.TensorSpec(None)),
    )
    split.compile(optimizer="sgd", loss="mse")
    with pytest.raises(ValueError, match="unknown rank"):
        split.fit(data, shuffle=False, verbose=0)


def test_weights_of_one_half_are_refused(split):
    with pytest.raises(ValueError, match="ticket for the server's half"):
        split.set_weights(split.head.get_weights())


TWO_REPLICAS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras_split
from support.models import mlp
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    try:
        keras_split.SplitModel(mlp(), "low")
    except ValueError as error:
        print(error)
"""


def test_several_replicas_at_the_client_are_refused(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    command = [sys.executable, "-c", TWO_REPLICAS]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "--strategy mirrored" in found.stdout
