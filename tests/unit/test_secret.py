"""A client's initial weights come from its secret alone, and look like Keras' own."""

from __future__ import annotations

import ast
import copy
import hashlib
import random
import statistics
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as klayers
from keras.src.initializers.random_initializers import compute_fans as keras_compute_fans

from keras_split.state import draws, quantile, secret
from keras_split.state.secret import initial_value, initialise

SECRET = bytes(range(32))
OTHER = bytes(range(1, 33))

RANDOM: dict[str, dict[str, Any]] = {
    "RandomUniform": {"minval": -0.3, "maxval": 0.7},
    "RandomNormal": {"mean": 0.5, "stddev": 0.2},
    "TruncatedNormal": {"mean": -0.5, "stddev": 0.2},
    "VarianceScaling": {"scale": 3.0, "mode": "fan_out", "distribution": "uniform"},
    "GlorotUniform": {},
    "GlorotNormal": {},
    "HeUniform": {},
    "HeNormal": {},
    "LecunUniform": {},
    "LecunNormal": {},
}
SCALINGS = [
    {"scale": scale, "mode": mode, "distribution": distribution}
    for scale, mode in ((0.5, "fan_in"), (2.0, "fan_out"), (1.0, "fan_avg"))
    for distribution in ("uniform", "truncated_normal", "untruncated_normal")
]


def drawn(kind: str, config: dict[str, Any], shape: tuple[int, ...], path: str = "w"):
    return initial_value(SECRET, path, kind, config, shape, "float32")


def assert_same_distribution(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Mean, spread, ends and shape of two large samples, within what chance allows."""
    spread = theirs.std()
    assert abs(ours.mean() - theirs.mean()) < 6 * spread / np.sqrt(ours.size)
    assert ours.std() == pytest.approx(spread, rel=0.02)
    levels = np.linspace(0.02, 0.98, 25)
    gaps = np.quantile(ours, levels) - np.quantile(theirs, levels)
    assert np.abs(gaps).max() < 0.05 * spread


@pytest.mark.parametrize(
    ("kind", "config"),
    [*RANDOM.items(), *(("VarianceScaling", scaling) for scaling in SCALINGS)],
)
@pytest.mark.parametrize("shape", [(120, 300), (3, 3, 40, 100)])
def test_values_follow_the_initialiser(kind: str, config: dict[str, Any], shape: tuple[int, ...]):
    initializer = getattr(keras.initializers, kind)(**config, seed=1)
    theirs = keras.ops.convert_to_numpy(initializer(shape))
    assert_same_distribution(drawn(kind, initializer.get_config(), shape), theirs)


@pytest.mark.parametrize("kind", ["RandomUniform", "HeUniform"])
def test_uniform_values_stay_inside_their_bounds(kind: str):
    values = drawn(kind, RANDOM[kind], (200, 500))
    low, high = (-0.3, 0.7) if kind == "RandomUniform" else (-np.sqrt(6 / 200), np.sqrt(6 / 200))
    assert values.min() >= np.float32(low)
    assert values.max() <= np.float32(high)


def test_truncated_values_stay_within_two_deviations():
    values = drawn("TruncatedNormal", RANDOM["TruncatedNormal"], (200, 500))
    assert np.abs(values + 0.5).max() <= 0.4 + 1e-6


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (3, 5, 2), (3, 3, 8, 16), (2, 3, 4, 5, 6)])
def test_fans_are_those_of_keras(shape: tuple[int, ...]):
    assert draws.compute_fans(shape) == keras_compute_fans(shape)


def test_fans_of_named_axes_are_those_of_keras():
    axes = ((0, 1), (2,)), ((0,), (1, 2)), ((), (0,))
    for inputs, outputs in axes:
        assert draws.compute_fans((4, 5, 6), inputs, outputs) == keras_compute_fans(
            (4, 5, 6), inputs, outputs
        )


@pytest.mark.parametrize("shape", [(8, 8), (8, 32), (32, 8), (3, 3, 4, 8), (1, 5)])
def test_orthogonal_values_are_orthogonal(shape: tuple[int, ...]):
    matrix = initial_value(SECRET, "w", "Orthogonal", {"gain": 2.0}, shape, "float64")
    matrix = matrix.reshape(-1, shape[-1])
    square = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(square, 4.0 * np.eye(len(square)), atol=1e-12)


def test_orthogonal_values_are_uniform_over_the_rotations():
    """The trace of a uniform orthogonal 3x3 matrix has mean 0 and variance 1."""
    traces = [np.trace(drawn("Orthogonal", {}, (3, 3), str(at))) for at in range(1200)]
    assert np.mean(traces) == pytest.approx(0.0, abs=0.12)
    assert np.var(traces) == pytest.approx(1.0, abs=0.2)


def test_the_quantile_is_that_of_the_normal_distribution():
    levels = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 997), 2.0 ** -np.arange(1, 55)])
    normal = statistics.NormalDist()
    expected = [normal.inv_cdf(level) for level in levels]
    np.testing.assert_allclose(quantile.normal_quantile(levels), expected, rtol=1e-14, atol=1e-15)


def test_values_are_the_same_on_every_machine():
    """Written down once; a change would break the agreement between clients."""
    digest = hashlib.sha256()
    for kind, config in {**RANDOM, "Orthogonal": {}}.items():
        digest.update(initial_value(SECRET, f"path/{kind}", kind, config, (6, 9), "float64"))
    assert digest.hexdigest() == "978a76ff2cb4cd9d35740fae6f44b0c721cf6232385deabc3b65c13fb2815144"


def test_constants_need_no_secret_stream():
    assert (drawn("Zeros", {}, (3, 2)) == 0).all()
    assert (drawn("Ones", {}, (3, 2)) == 1).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_values_have_the_dtype_of_the_variable(dtype: str):
    value = initial_value(SECRET, "w", "HeNormal", {}, (4, 5), dtype)
    assert value.dtype == dtype
    assert value.shape == (4, 5)


@pytest.mark.parametrize("kind", ["Constant", "Identity", "STFT", "Mine", ""])
def test_other_initialisers_are_refused(kind: str):
    with pytest.raises(ValueError, match="cannot be drawn from a secret"):
        drawn(kind, {"value": 1.0}, (3, 3))


@pytest.mark.parametrize("wrong", [b"", b"short", bytes(33), "x" * 32])
def test_a_secret_has_32_bytes_and_is_never_shown(wrong: Any):
    with pytest.raises(ValueError, match="32 bytes") as caught:
        initial_value(wrong, "w", "Zeros", {}, (1,), "float32")
    assert not wrong or str(wrong) not in str(caught.value)


def test_each_path_and_secret_has_a_stream_of_its_own():
    values = {
        initial_value(each, path, "GlorotUniform", {}, (4, 4), "float32").tobytes()
        for each in (SECRET, OTHER)
        for path in ("a", "b", "a/b", "b/a", "ab", "")
    }
    assert len(values) == 12


def test_a_long_stream_repeats_nothing():
    count = (1 << 18) + 1000
    values = initial_value(SECRET, "w", "RandomUniform", {}, (count,), "float64")
    assert len(np.unique(values)) == count


# Whole models.


def convolutional() -> keras.Model:
    inputs = keras.Input((12, 12, 3))
    x = klayers.Conv2D(8, 3, kernel_initializer="he_normal", name="conv")(inputs)
    x = klayers.BatchNormalization(name="norm")(x)
    x = klayers.PReLU(alpha_initializer="he_uniform", shared_axes=[1, 2], name="prelu")(x)
    x = klayers.DepthwiseConv2D(3, depthwise_initializer="he_uniform", name="depthwise")(x)
    x = klayers.SeparableConv2D(8, 3, name="separable")(x)
    x = klayers.Conv2DTranspose(4, 2, name="transpose")(x)
    x = klayers.GroupNormalization(2, gamma_initializer="random_normal", name="group")(x)
    x = klayers.Dropout(0.5, name="dropout")(klayers.Flatten()(x))
    return keras.Model(inputs, klayers.Dense(5, bias_initializer="random_normal")(x))


def sequential_text() -> keras.Model:
    tokens = keras.Input((6,), dtype="int32")
    x = klayers.Embedding(30, 8, name="embedding")(tokens)
    x = klayers.Bidirectional(klayers.LSTM(5, return_sequences=True), name="both")(x)
    x = klayers.GRU(4, return_sequences=True, dropout=0.2, name="gru")(x)
    x = klayers.SimpleRNN(4, return_sequences=True, name="simple")(x)
    x = klayers.TimeDistributed(klayers.Dense(6), name="steps")(x)
    x = klayers.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = klayers.GroupQueryAttention(2, 4, 2, name="grouped")(x, x)
    x = klayers.AdditiveAttention(name="additive")([x, x])
    x = klayers.EinsumDense("abc,cd->abd", (None, 7), bias_axes="d", name="einsum")(x)
    return keras.Model(tokens, klayers.RMSNormalization()(klayers.LayerNormalization()(x)))


def nested() -> keras.Model:
    def block(name: str) -> keras.Model:
        return keras.Sequential([keras.Input((4,)), klayers.Dense(4, name="same")], name=name)

    inputs = keras.Input((4,))
    shared = block("shared")
    inner = keras.Model(inputs, shared(shared(inputs)), name="inner")
    outer = keras.Input((4,))
    return keras.Model(outer, block("other")(inner(outer)))


MODELS = [convolutional, sequential_text, nested]


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    return {f"{at} {w.path}": w.numpy() for at, w in enumerate(model.weights)}


def seeds(model: keras.Model) -> list[list[int]]:
    return [
        generator.state.numpy().tolist()
        for layer in model._flatten_layers()
        for generator in layer._seed_generators
    ]


def is_random(initializer_value: np.ndarray) -> bool:
    return len(np.unique(initializer_value)) > 2


@pytest.mark.parametrize("make", MODELS)
def test_the_same_secret_gives_the_same_weights(make: Any):
    """Two processes have made other layers before, and other names and seeds with them."""
    config = keras.saving.serialize_keras_object(make())
    first, second = (keras.saving.deserialize_keras_object(copy.deepcopy(config)) for _ in "ab")
    initialise(first, SECRET)
    initialise(second, SECRET)
    for one, other in zip(weights(first).values(), weights(second).values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert seeds(first) == seeds(second)


@pytest.mark.parametrize("make", MODELS)
def test_another_secret_changes_every_random_weight(make: Any):
    model = make()
    before = weights(model)
    initialise(model, SECRET)
    first, first_seeds = weights(model), seeds(model)
    initialise(model, OTHER)
    second = weights(model)
    for name, value in before.items():
        if is_random(value):
            assert (first[name] != value).any(), name
            assert (first[name] != second[name]).any(), name
        else:
            np.testing.assert_array_equal(first[name], value, err_msg=name)
    assert all(one != other for one, other in zip(first_seeds, seeds(model), strict=True))


@pytest.mark.parametrize("make", MODELS)
def test_weights_keep_the_spread_that_keras_gave_them(make: Any):
    model = make()
    before = weights(model)
    initialise(model, SECRET)
    for name, value in weights(model).items():
        if value.size >= 40 and is_random(before[name]):
            scale = np.sqrt(np.mean(before[name] ** 2))
            assert np.sqrt(np.mean(value**2)) == pytest.approx(scale, rel=0.45), name


def test_no_two_weights_share_a_stream():
    for make in MODELS:
        model = make()
        initialise(model, SECRET)
        firsts = [w.flat[0] / w.std() for w in weights(model).values() if is_random(w)]
        assert len(set(np.round(firsts, 5))) == len(firsts)


def test_the_forget_gate_starts_open():
    lstm = klayers.LSTM(3, bias_initializer="random_normal")
    lstm.build((None, 5, 2))
    initialise(lstm, SECRET)
    bias = lstm.cell.bias.numpy()
    assert (bias[3:6] == 1).all()
    assert (np.abs(np.delete(bias, slice(3, 6))) < 0.5).all()


def test_statistics_stay_as_they_are():
    norm = klayers.BatchNormalization()
    norm.build((None, 3))
    norm.moving_mean.assign([1.0, 2.0, 3.0])
    initialise(norm, SECRET)
    assert norm.moving_mean.numpy().tolist() == [1.0, 2.0, 3.0]
    assert norm.gamma.numpy().tolist() == [1.0, 1.0, 1.0]


def test_einsum_kernels_have_the_fans_of_their_equation():
    """A projection of 64 features to 4 heads of 8: 64 inputs and 32 outputs, not 256 and 512."""
    layer = klayers.EinsumDense("abc,cde->abde", (None, 4, 8))
    layer.build((None, 5, 64))
    initialise(layer, SECRET)
    limit = np.sqrt(6 / (64 + 32))
    assert 0.98 * limit < np.abs(layer.kernel.numpy()).max() <= limit


def test_seed_generators_get_fresh_states():
    model = convolutional()
    before = seeds(model)
    initialise(model, SECRET)
    after = seeds(model)
    assert before
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert all(0 <= number < 2**31 for state in after for number in state)
    out = model(np.ones((2, 12, 12, 3), "float32"), training=True)
    assert np.isfinite(out.numpy()).all()


def test_no_global_random_state_is_touched():
    model = convolutional()
    python, numpy = random.getstate(), np.random.get_state()[1].tolist()
    initialise(model, SECRET)
    assert random.getstate() == python
    assert np.random.get_state()[1].tolist() == numpy


def test_mixed_precision_weights_are_float32():
    layer = klayers.Dense(4, dtype="mixed_bfloat16")
    layer.build((None, 3))
    initialise(layer, SECRET)
    assert layer.kernel.dtype == "float32"


class Unknown(klayers.Layer):
    """A weight whose initialiser stands nowhere."""

    def build(self, shape: Any) -> None:
        self.thing = self.add_weight(shape=(shape[-1], 3), initializer="he_normal", name="thing")


def test_a_weight_without_a_known_initialiser_is_refused():
    layer = Unknown(name="odd")
    layer.build((None, 4))
    with pytest.raises(ValueError, match="thing.*Unknown.*thing_initializer"):
        initialise(layer, SECRET)


def test_a_constant_initialiser_is_refused_in_a_model():
    layer = klayers.Dense(3, kernel_initializer=keras.initializers.Constant(0.5))
    layer.build((None, 2))
    with pytest.raises(ValueError, match="Constant"):
        initialise(layer, SECRET)


def test_only_numpy_and_hashlib_are_needed():
    for module in (secret, draws, quantile):
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in ("keras", "tensorflow", "scipy"), module
