"""Every float type trains as in the whole model, and crosses the cut as it is."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from support.models import (
    CLASSES,
    CLASSIFIES,
    Case,
    classes,
    convolutional,
    floats,
    masked_to_the_end,
    mlp_case,
    tokens,
)
from support.pairs import assert_case_trains_as_whole, assert_trains_as_whole, paired_models

SENTENCES = tokens(7, 12)

DENSE = mlp_case()
CONVOLUTIONAL = Case(convolutional, "pool1", floats(6, 6, 2), classes(), CLASSIFIES, "flatten")
RECURRENT = Case(masked_to_the_end, "embed", SENTENCES, SENTENCES, CLASSIFIES)

POLICIES = {
    "dense-mixed_bfloat16": (DENSE, "mixed_bfloat16"),
    "convolutional-mixed_bfloat16": (CONVOLUTIONAL, "mixed_bfloat16"),
    "recurrent-mixed_bfloat16": (RECURRENT, "mixed_bfloat16"),
    # With a LossScaleOptimizer, which Keras makes of Adam.
    "dense-mixed_float16": (DENSE, "mixed_float16"),
    "convolutional-bfloat16": (CONVOLUTIONAL, "bfloat16"),
}


@pytest.mark.parametrize(("case", "policy"), POLICIES.values(), ids=POLICIES.keys())
def test_training_with_a_global_policy(case, policy):
    keras.config.set_dtype_policy(policy)
    assert_case_trains_as_whole(case)


def test_training_in_float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    assert_trains_as_whole(DENSE.build, DENSE.cut, DENSE.settings(), DENSE.fit_and_use)


def test_layers_with_policies_of_their_own():
    def build():
        return keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(8, activation="relu", name="low", dtype="mixed_bfloat16"),
                layers.Dense(8, activation="relu", name="high", dtype="bfloat16"),
                layers.Dense(CLASSES, activation="softmax", name="classes", dtype="float32"),
            ]
        )

    case = mlp_case("low", build)
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit_and_use)


@pytest.mark.parametrize("overflowing", ["low", "high"])
def test_a_gradient_that_overflows_on_either_side_has_both_skip_the_step(overflowing):
    policy = {"low": "float32", "high": "float32", overflowing: "mixed_float16"}

    def build():
        return keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(8, activation="tanh", name="low", dtype=policy["low"]),
                layers.Dense(8, activation="relu", name="high", dtype=policy["high"]),
                layers.Dropout(0.3, name="drop", dtype=policy["high"]),
                layers.Dense(CLASSES, activation="softmax", name="classes", dtype="float32"),
            ]
        )

    def optimizer():
        inner = keras.optimizers.SGD(0.3, momentum=0.9, global_clipnorm=1.0)
        # Six steps: it comes down until gradients are finite, and goes up again after two that are.
        return keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**19, dynamic_growth_steps=2)

    def train(model):
        return case.fit(model), np.asarray(model.optimizer.dynamic_scale), int(model.optimizer.iterations)

    case = mlp_case("low", build)
    _, scale, updates = assert_trains_as_whole(
        case.build, case.cut, case.settings(optimizer), train, None, "drop"
    )
    assert 0 < updates < 6 and scale > 2.0 ** (19 - (6 - updates))


def test_bfloat16_crosses_the_cut_in_two_bytes():
    def bytes_sent():
        with paired_models(wide.build, wide.cut) as pair:
            _, history = pair.compile(wide.settings()).both(lambda model: wide.fit(model, epochs=1))
        return history.history["bytes_sent"][0]

    wide = mlp_case("low", _wide)
    full = bytes_sent()
    keras.config.set_dtype_policy("mixed_bfloat16")
    rows, width = len(wide.x), _wide().get_layer("low").units
    assert full - bytes_sent() == pytest.approx(rows * width * 2, rel=0.02)


def _wide() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(1024, activation="relu", name="low"),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ]
    )


@pytest.mark.parametrize("dtype", ["uint8", "float64", "int32"])
def test_inputs_of_other_types_are_converted_as_in_the_whole_model(dtype):
    def build():
        return keras.Sequential(
            [
                keras.Input((6,)),
                layers.Rescaling(1 / 255, name="scale"),
                layers.Dense(8, activation="relu", name="low"),
                layers.Dense(CLASSES, activation="softmax", name="classes"),
            ]
        )

    x = np.random.default_rng(1).integers(0, 255, (20, 6)).astype(dtype)
    case = Case(build, "low", x, classes(), CLASSIFIES)

    def train(model):
        options = {"batch_size": 8, "epochs": 2, "verbose": 0, "validation_data": (x, case.y)}
        return model.fit(x, case.y, **options), model.predict(x, batch_size=8, verbose=0)

    assert_trains_as_whole(case.build, case.cut, case.settings(), train)
