"""Every loss has the whole model's value and gradient, from wherever Keras takes its logits."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, losses

from support.batches import in_batches
from support.models import BATCH, CLASSES, ROWS, Case, classes, floats
from support.pairs import assert_trains_as_whole

X, SPARSE = floats(6), classes()
ONE_HOT = np.eye(CLASSES, dtype="float32")[SPARSE]
BINARY = (SPARSE % 2).astype("float32")[:, None]


def ends(**layers_behind: tuple[int, str | None, str | None]):
    """A model with an output for each end, behind the second cut where there is one."""

    def build():
        inputs = keras.Input((6,))
        x = layers.Dense(8, activation="relu", name="low")(inputs)
        x = layers.Dense(8, activation="relu", name="middle")(x)
        outputs = {}
        for name, (units, activation, layer) in layers_behind.items():
            outputs[name] = layers.Dense(units, activation=activation, name=f"{name}_dense")(x)
            if layer:
                outputs[name] = layers.Activation(layer, name=f"{name}_activation")(outputs[name])
        return keras.Model(inputs, outputs)

    return build


def assert_losses_as_whole(ends_with_labels_and_losses):
    """Trains one model with an output for each loss, with weights and validation; labels shared and not."""
    ends_, labels, losses_ = (
        {name: each[at] for name, each in ends_with_labels_and_losses.items()} for at in range(3)
    )
    case = Case(ends(**ends_), "low", X, labels, {"loss": losses_})
    weights = dict.fromkeys(labels, np.linspace(0.1, 2.0, ROWS, dtype="float32"))
    weighted = in_batches(BATCH, X, labels, weights)
    assert_trains_as_whole(
        case.build,
        case.cut,
        case.settings(),
        lambda model: model.fit(weighted, epochs=2, shuffle=False, verbose=0, validation_data=case.batches),
        None,
        "middle",
    )


def test_classes():
    softmax, linear = (CLASSES, "softmax", None), (CLASSES, None, None)
    sparse, full = losses.SparseCategoricalCrossentropy, losses.CategoricalCrossentropy
    assert_losses_as_whole(
        {
            "sparse": (softmax, SPARSE, "sparse_categorical_crossentropy"),
            "sparse_logits": (linear, SPARSE, sparse(from_logits=True)),
            "sparse_layer": ((CLASSES, None, "softmax"), SPARSE, "sparse_categorical_crossentropy"),
            "smoothed": (softmax, ONE_HOT, full(label_smoothing=0.1)),
            "full_logits": (linear, ONE_HOT, full(from_logits=True)),
            "focal": (softmax, ONE_HOT, "categorical_focal_crossentropy"),
        }
    )


def test_yes_or_no():
    assert_losses_as_whole(
        {
            "plain": ((1, "sigmoid", None), BINARY, "binary_crossentropy"),
            "layer": ((1, None, "sigmoid"), BINARY, "binary_crossentropy"),
            "logits": ((1, None, None), BINARY, losses.BinaryCrossentropy(from_logits=True)),
            "focal": ((1, "sigmoid", None), BINARY, "binary_focal_crossentropy"),
            "hinge": ((1, "tanh", None), 2 * BINARY - 1, "hinge"),
        }
    )


def test_numbers():
    linear, y = (CLASSES, None, None), floats(CLASSES)
    assert_losses_as_whole(
        {
            "squared": (linear, y, "mse"),
            "summed": (linear, y, losses.Huber(reduction="sum")),
            "weighted": (linear, y, losses.MeanAbsoluteError(reduction="mean_with_sample_weight")),
            "cosine": (linear, y, "cosine_similarity"),
        }
    )


def test_sigmoids_whose_logits_no_loss_reads():
    sigmoid, y = (CLASSES, "sigmoid", None), np.abs(floats(CLASSES))
    assert_losses_as_whole(
        {
            "squared": (sigmoid, y, "mse"),
            "absolute": (sigmoid, y, "mae"),
            "huber": (sigmoid, y, losses.Huber()),
            "overlap": (sigmoid, (y > 1).astype("float32"), "dice"),
        }
    )


def test_several_outputs_in_a_list_with_losses_of_one_kind():
    def build():
        inputs = keras.Input((6,))
        x = layers.Dense(8, activation="relu", name="low")(inputs)
        x = layers.Dense(8, activation="relu", name="middle")(x)
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
    assert_trains_as_whole(case.build, case.cut, settings, case.fit, None, "middle")


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


def test_a_registered_function():
    assert_losses_as_whole({"only": ((CLASSES, None, None), floats(CLASSES), cubed)})
