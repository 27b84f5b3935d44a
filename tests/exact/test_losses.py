"""Every loss has the whole model's value and gradient, from wherever Keras takes its logits."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, losses

from support.models import CLASSES, ROWS, Case, classes, floats
from support.pairs import assert_trains_as_whole

X, SPARSE = floats(6), classes()
ONE_HOT = np.eye(CLASSES, dtype="float32")[SPARSE]
BINARY = (SPARSE % 2).astype("float32")[:, None]


def ending(units: int, activation: str | None = None, layer: str | None = None):
    """A small model with an end of a kind."""

    def build():
        model = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu", name="low")])
        model.add(layers.Dense(units, activation=activation, name="high"))
        if layer:
            model.add(layers.Activation(layer, name="activation"))
        return model

    return build


SOFTMAX, SIGMOID, LINEAR = ending(CLASSES, "softmax"), ending(1, "sigmoid"), ending(CLASSES)

CASES = {
    "sparse_from_softmax": (SOFTMAX, SPARSE, "sparse_categorical_crossentropy"),
    "sparse_from_logits": (LINEAR, SPARSE, losses.SparseCategoricalCrossentropy(from_logits=True)),
    "sparse_from_softmax_layer": (
        ending(CLASSES, layer="softmax"),
        SPARSE,
        "sparse_categorical_crossentropy",
    ),
    "categorical_smoothed": (SOFTMAX, ONE_HOT, losses.CategoricalCrossentropy(label_smoothing=0.1)),
    "categorical_from_logits": (LINEAR, ONE_HOT, losses.CategoricalCrossentropy(from_logits=True)),
    "focal": (SOFTMAX, ONE_HOT, "categorical_focal_crossentropy"),
    "binary_from_sigmoid": (SIGMOID, BINARY, "binary_crossentropy"),
    "binary_from_sigmoid_layer": (ending(1, layer="sigmoid"), BINARY, "binary_crossentropy"),
    "binary_from_logits": (ending(1), BINARY, losses.BinaryCrossentropy(from_logits=True)),
    "mean_squared_error": (LINEAR, floats(CLASSES), "mse"),
    "summed": (LINEAR, floats(CLASSES), losses.Huber(reduction="sum")),
    "mean_with_sample_weight": (
        LINEAR,
        floats(CLASSES),
        losses.MeanAbsoluteError(reduction="mean_with_sample_weight"),
    ),
}


@pytest.mark.parametrize(("build", "y", "loss"), CASES.values(), ids=CASES.keys())
def test_training_with(build, y, loss):
    case = Case(build, "low", X, y, {"loss": loss, "metrics": ["accuracy"]})
    weights = np.linspace(0.1, 2.0, ROWS)
    assert_trains_as_whole(
        case.build,
        case.cut,
        case.settings(),
        lambda model: case.fit(model, sample_weight=weights, validation_data=(X, y)),
    )


def test_several_losses_of_one_kind_behind_one_output_each():
    def build():
        inputs = keras.Input((6,))
        x = layers.Dense(8, activation="relu", name="low")(inputs)
        outputs = [layers.Dense(CLASSES, activation="softmax", name=f"kind{at}")(x) for at in range(3)]
        return keras.Model(inputs, outputs)

    def settings():
        return {
            "optimizer": "adam",
            "loss": [*["sparse_categorical_crossentropy"] * 2, "categorical_crossentropy"],
            "loss_weights": [1.0, 0.25, 3.0],
            # A metric with a state belongs to one model.
            "metrics": [["accuracy"], ["accuracy"], ["accuracy", keras.metrics.AUC(name="auc")]],
        }

    case = Case(build, "low", X, [SPARSE, SPARSE[::-1], ONE_HOT])
    assert_trains_as_whole(case.build, case.cut, settings, case.fit)


def test_a_loss_of_added_terms_only():
    def build():
        inputs = keras.Input((6,))
        x = layers.Dense(8, activity_regularizer="l2", kernel_regularizer="l1", name="low")(inputs)
        x = layers.Dense(8, activity_regularizer="l1", kernel_regularizer="l2", name="high")(x)
        return keras.Model(inputs, x)

    case = Case(build, "low", X, None)
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit)


@keras.saving.register_keras_serializable("tests")
def cubed(y_true, y_pred):
    """A loss that only this module knows."""
    return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** 3, axis=-1)


def test_a_registered_function_as_loss():
    case = Case(LINEAR, "low", X, floats(CLASSES), {"loss": cubed, "metrics": [cubed]})
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit)
