"""A part that another process rebuilds from its config is the same part, or its layer is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_split.errors import TopologyError
from keras_split.partition import Part, checked, named_variables, settle_statistics
from keras_split.partition.part import ranked_part
from keras_split.partition.rebuilt import check_rebuilt
from keras_split.state import read, write

VECTOR, SEQUENCE, IMAGE, TOKENS = (6,), (5, 4), (6, 6, 3), (5,)


@keras.saving.register_keras_serializable("tests")
class Forgetful(layers.Layer):
    """Has an inner layer, a weight without a name, and a config without anything."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dense(6)
        self.strength = 1.0
        self.limit = 1e6

    def build(self, shape):
        self.inner.build(shape)
        self.scale = self.add_weight(shape=(6,), initializer="ones")

    def call(self, x):
        return keras.ops.minimum(self.inner(x) * self.scale * self.strength, self.limit)

    def get_config(self):
        return {}


@keras.saving.register_keras_serializable("tests")
class Rounded(layers.Dense):
    """Looks as it was, and computes something else once it has been written down."""

    def __init__(self, units, exact=True, **options):
        super().__init__(units, **options)
        self._tracker.unlock()
        self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, 1.0 if exact else 0.5)

    def call(self, x):
        return super().call(x) * self.table.lookup("factor")

    def get_config(self):
        return {**super().get_config(), "exact": False}


def twice(x):
    """An activation that is nobody's but this module's."""
    return 2 * x


def setting(**attributes: Any) -> Callable[[Any], None]:
    def change(layer):
        for name, value in attributes.items():
            setattr(layer, name, value)

    return change


def freezing(*names: str) -> Callable[[Any], None]:
    def change(layer):
        for name in names:
            owner, _, last = name.rpartition(".")
            getattr(getattr(layer, owner) if owner else layer, last).trainable = False

    return change


def of_kernel(**attributes: Any) -> Callable[[Any], None]:
    return lambda layer: setting(**attributes)(layer.kernel)


def nothing(layer: Any) -> None:
    del layer


def replaced(layer: Any) -> None:
    own = layer.call
    layer.call = lambda x: 2 * own(x)


def adapted(layer: Any) -> None:
    layer.adapt(np.random.default_rng(1).normal(size=(20, 6)).astype("float32"))


def loaded(layer: Any) -> None:
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    layer.load_own_variables(store)


def stale(layer: Any) -> None:
    adapted(layer)
    layer.adapt_mean.assign(layer.adapt_mean + 1.0)


KEPT = {
    "plain": (lambda: layers.Dense(4, "gelu"), VECTOR, nothing),
    "a kernel": (lambda: layers.Dense(4), VECTOR, freezing("kernel")),
    "a gamma": (layers.BatchNormalization, VECTOR, freezing("gamma")),
    "a layer": (layers.BatchNormalization, IMAGE, setting(trainable=False)),
    "an inner layer": (Forgetful, VECTOR, freezing("inner")),
    "an inner kernel": (Forgetful, VECTOR, freezing("inner.kernel")),
    "one of a pair": (lambda: layers.Bidirectional(layers.GRU(3)), SEQUENCE, freezing("backward_layer")),
    "a wrapped bias": (lambda: layers.TimeDistributed(layers.Dense(3)), SEQUENCE, freezing("layer.bias")),
    "alpha": (lambda: layers.Dense(4), VECTOR, lambda layer: layer.enable_lora(2, lora_alpha=6.0)),
    "alpha of a convolution": (lambda: layers.Conv2D(4, 3), IMAGE, lambda layer: layer.enable_lora(2, 8.0)),
    "an activation": (lambda: layers.Dense(4), VECTOR, setting(activation=keras.activations.mish)),
    "a rate": (lambda: layers.Dropout(0.1), VECTOR, setting(rate=0.8)),
    "a momentum": (layers.BatchNormalization, VECTOR, setting(momentum=0.5, epsilon=0.1)),
    "an adapted layer": (layers.Normalization, VECTOR, adapted),
    "a layer that was loaded": (lambda: layers.Dense(4), VECTOR, loaded),
    "eight bits": (lambda: layers.Dense(4), VECTOR, lambda layer: layer.quantize("int8")),
}
REFUSED = {
    "another gelu": (lambda: layers.Dense(4), VECTOR, setting(activation=keras.ops.gelu)),
    "an unregistered function": (lambda: layers.Dense(4), VECTOR, setting(activation=twice)),
    "a value that nobody may give": (lambda: layers.Dense(4), VECTOR, setting(units=-1)),
    "a rate of nothing": (lambda: layers.Dropout(0.1), VECTOR, setting(rate=0.0)),
    "masking": (Forgetful, VECTOR, setting(supports_masking=True)),
    "autocast": (lambda: layers.Dense(4), VECTOR, setting(autocast=False)),
    "an attribute": (Forgetful, VECTOR, setting(strength=0.5)),
    "a limit that is seldom reached": (Forgetful, VECTOR, setting(limit=1e5)),
    "a regulariser": (lambda: layers.Dense(4), VECTOR, of_kernel(regularizer=keras.regularizers.L2(0.1))),
    "a late regulariser": (lambda: layers.Dense(4), VECTOR, setting(kernel_regularizer="l2")),
    "a constraint": (lambda: layers.Dense(4), VECTOR, of_kernel(constraint=keras.constraints.NonNeg())),
    "a policy": (lambda: layers.SpatialDropout2D(0.5, dtype="mixed_bfloat16"), IMAGE, nothing),
    "an inner policy": (Forgetful, VECTOR, lambda layer: setting(dtype_policy="bfloat16")(layer.inner)),
    "a replaced call": (lambda: layers.Dense(4), VECTOR, replaced),
    "what only shows in its results": (lambda: Rounded(4), VECTOR, nothing),
    "statistics that are not in use": (layers.Normalization, VECTOR, stale),
}


def part_of(make: Callable[[], Any], shape: tuple[int, ...], change: Callable[[Any], None]) -> Part:
    keras.utils.set_random_seed(5)
    inputs = keras.Input(shape, dtype="int32" if shape == TOKENS else "float32", name="given")
    layer = make()
    layer.name = "middle"
    model = keras.Model(inputs, layer(inputs))
    change(layer)
    return ranked_part(model, model)


def twin_of(part: Part) -> Part | None:
    """What another process would build, or None where that is refused."""
    try:
        text = json.dumps(checked(part.to_config(), part))
    except (ValueError, TopologyError) as error:
        assert "'middle" in str(error)
        return None
    twin = Part.from_config(json.loads(text))
    state = read(named_variables(part.model))
    write(named_variables(twin.model), state)
    settle_statistics(twin)
    return twin


def computed(part: Part) -> list[bytes]:
    """All that a part gives in a step and in inference, and what it is afterwards."""
    model = part.model
    x = np.random.default_rng(3).normal(size=(8, *model.inputs[0].shape[1:])) * 4
    x = tf.constant(np.abs(x) % 7 if "int" in model.inputs[0].dtype else x, model.inputs[0].dtype)
    with tf.GradientTape() as tape:
        y = model(x, training=True)
        losses = [loss for _, loss in part.losses()]
        total = tf.add_n([tf.reduce_sum(tf.cast(y, "float32") ** 2), *losses])
    gradients = tape.gradient(total, [each.value for each in model.trainable_variables])
    gradients = [each if each is None else tf.convert_to_tensor(each) for each in gradients]
    found = [y, *losses, *gradients, model(x), *read(named_variables(model)).values()]
    flags = [name.encode() for name, each in named_variables(model).items() if each.trainable]
    return flags + [b"" if each is None else np.asarray(each).tobytes() for each in found]


@pytest.mark.parametrize(("make", "shape", "change"), KEPT.values(), ids=KEPT.keys())
def test_what_can_be_written_down_is_kept(make, shape, change):
    part = part_of(make, shape, change)
    twin = twin_of(part)
    assert twin is not None
    assert computed(twin) == computed(part)


@pytest.mark.parametrize(("make", "shape", "change"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.filterwarnings("ignore:.*does not support masking")
def test_what_cannot_is_refused(make, shape, change):
    assert twin_of(part_of(make, shape, change)) is None


LAYERS = {
    "Dense": (lambda: layers.Dense(4), VECTOR),
    "BatchNormalization": (layers.BatchNormalization, VECTOR),
    "Dropout": (lambda: layers.Dropout(0.3), VECTOR),
    "Embedding": (lambda: layers.Embedding(8, 3), TOKENS),
    "ReLU": (layers.ReLU, VECTOR),
    "Forgetful": (Forgetful, VECTOR),
}


def other_values(name: str, value: Any) -> list[Any]:
    """What an attribute might be set to."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1 if isinstance(value, int) else value * 0.5]
    if name.endswith("_regularizer"):
        return [keras.regularizers.L2(0.1)]
    if name.endswith("activation"):
        return [keras.activations.gelu, keras.ops.gelu]
    return []


def computed_if_it_can(part: Part) -> list[bytes]:
    try:
        return computed(part)
    except TypeError:
        return []  # With such a value the layer does not work at all.


@pytest.mark.parametrize(("make", "shape"), LAYERS.values(), ids=LAYERS.keys())
def test_whatever_is_set_later_is_kept_or_refused(make, shape):
    names = vars(part_of(make, shape, nothing).model.layers[1])
    names = [name for name in names if name[0] != "_" and name != "built"]
    tried = 0
    for name in names:
        layer = part_of(make, shape, nothing).model.layers[1]
        for value in other_values(name, getattr(layer, name)):
            part = part_of(make, shape, setting(**{name: value}))
            twin = twin_of(part)
            if twin is not None and (expected := computed_if_it_can(part)):
                assert computed(twin) == expected, f"{name}={value!r}"
            tried += 1
    assert tried


@keras.saving.register_keras_serializable("tests")
class Own(keras.Model):
    """A functional model of a class of its own."""


def sliced() -> keras.Model:
    given = keras.Input((6, 4))
    x = layers.Dense(4)(given)
    x = keras.ops.concatenate([x[:, 1:, :], x[:, :2]], axis=1)
    x = layers.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True)
    inside = keras.Input((4,))
    nested = Own(inside, layers.Dense(4)(inside) + layers.Dense(4, "gelu")(inside))
    x = keras.ops.mean(x, axis=1)
    return keras.Model(given, {"one": nested(x) + nested(2 * x), "other": x})


def masked() -> keras.Model:
    tokens = keras.Input((5,), dtype="int32")
    steps = [layers.Embedding(8, 3, mask_zero=True), layers.Dense(4), layers.GlobalAveragePooling1D()]
    return keras.Model(tokens, keras.Sequential(steps)(tokens))


@pytest.mark.parametrize("build", [sliced, masked])
def test_graphs_are_kept(build):
    model = build()
    part = ranked_part(model, model)
    checked(part.to_config(), part)


def test_where_weights_and_draws_begin_is_not_compared():
    def part(**options):
        return part_of(lambda: layers.GRU(3, dropout=0.1, **options), SEQUENCE, nothing)

    check_rebuilt(part(seed=3, kernel_initializer="he_normal"), part())
    with pytest.raises(ValueError, match="'middle' of class GRU.*its config"):
        check_rebuilt(part(), part(recurrent_activation="tanh"))


def test_nobody_notices_the_comparison():
    part = part_of(lambda: layers.Dropout(0.5), VECTOR, nothing)
    name = layers.Dropout(0.1).name
    state, draws = read(named_variables(part.model)), (random.getstate(), np.random.get_state()[1].tolist())
    checked(part.to_config(), part)
    assert draws == (random.getstate(), np.random.get_state()[1].tolist())
    assert int(layers.Dropout(0.1).name.split("_")[-1]) == int(name.split("_")[-1]) + 1
    assert all(np.array_equal(each, state[name]) for name, each in read(named_variables(part.model)).items())
