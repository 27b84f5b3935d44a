"""However the data comes, both trainings see the same of it."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from support.models import CLASSES, ROWS, Case, classes, floats, mlp_case
from support.pairs import assert_trains_as_whole

CASE = mlp_case(weighted_metrics=["accuracy", "sparse_categorical_crossentropy"])
X, Y = CASE.x, CASE.y
WEIGHTS = np.linspace(0.0, 2.0, ROWS, dtype="float32")
CLASS_WEIGHT = {0: 0.5, 1: 2.0, 2: 0.0, 3: 1.25}


class Batches(keras.utils.PyDataset):
    """Batches that several workers make."""

    def __len__(self):
        return 3

    def __getitem__(self, at):
        rows = slice(8 * at, 8 * at + 8)
        return X[rows], Y[rows]


def batches(**options):
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8, **options)


def generator(weighted=False):
    while True:
        for start in range(0, ROWS, 8):
            rows = slice(start, start + 8)
            yield (X[rows], Y[rows], WEIGHTS[rows]) if weighted else (X[rows], Y[rows])


def shuffled():
    data = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS))
    return data.shuffle(ROWS, seed=3).batch(8).prefetch(2)


SOURCES = {
    "numpy": lambda: {"x": X, "y": Y, "batch_size": 8},
    "numpy_in_order": lambda: {"x": X, "y": Y, "batch_size": 8, "shuffle": False},
    "numpy_in_shuffled_batches": lambda: {"x": X, "y": Y, "batch_size": 8, "shuffle": "batch"},
    "one_batch": lambda: {"x": X, "y": Y, "batch_size": 64},
    "ragged_last_batch_of_one": lambda: {"x": X[:17], "y": Y[:17], "batch_size": 8},
    "tensors": lambda: {"x": tf.constant(X), "y": tf.constant(Y), "batch_size": 8},
    "pandas": lambda: {
        "x": pd.DataFrame(X, columns=list("abcdef")),
        "y": pd.Series(Y),
        "batch_size": 8,
    },
    "tf_data": lambda: {"x": batches(), "shuffle": False},
    "tf_data_of_constant_batch_size": lambda: {"x": batches(drop_remainder=True), "shuffle": False},
    "tf_data_shuffled_with_weights": lambda: {"x": shuffled(), "shuffle": False},
    "endless_tf_data": lambda: {"x": batches().repeat(), "steps_per_epoch": 4, "shuffle": False},
    "generator": lambda: {"x": generator(), "steps_per_epoch": 3, "shuffle": False},
    "generator_with_weights": lambda: {"x": generator(True), "steps_per_epoch": 3, "shuffle": False},
    "py_dataset": lambda: {"x": Batches()},
    "py_dataset_with_threads": lambda: {"x": Batches(workers=2, max_queue_size=2)},
    "sample_weight": lambda: {"x": X, "y": Y, "batch_size": 8, "sample_weight": WEIGHTS},
    "class_weight": lambda: {"x": X, "y": Y, "batch_size": 8, "class_weight": CLASS_WEIGHT},
}


def fit(source, **options):
    return lambda model: model.fit(**source(), epochs=2, verbose=0, **options)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_data_from(source):
    assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(), fit(source))


def test_data_from_processes():
    def train(model):
        # These are started after the connection to the server, and inherit it.
        data = Batches(workers=2, use_multiprocessing=True, max_queue_size=2)
        first = fit(SOURCES["numpy"])(model)
        return first, model.fit(data, epochs=2, verbose=0), model.predict(X, verbose=0)

    assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(), train)


VALIDATION = {
    "split": {"validation_split": 0.3},
    "data": {"validation_data": (X[:13], Y[:13])},
    "weighted_data": {"validation_data": (X[:13], Y[:13], WEIGHTS[:13])},
    "every_second_epoch": {"validation_data": (X[:13], Y[:13]), "validation_freq": 2},
    "batch_size_of_its_own": {"validation_split": 0.3, "validation_batch_size": 4},
    "some_steps": {"validation_data": batches(), "validation_steps": 2},
}


@pytest.mark.parametrize("options", VALIDATION.values(), ids=VALIDATION.keys())
def test_validation_with(options):
    assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(), fit(SOURCES["numpy"], **options))


def test_weights_for_each_of_several_outputs():
    def build():
        inputs = keras.Input((6,))
        x = keras.layers.Dense(5, activation="relu", name="low")(inputs)
        kind = keras.layers.Dense(CLASSES, activation="softmax", name="kind")(x)
        return keras.Model(inputs, {"kind": kind, "size": keras.layers.Dense(1, name="size")(x)})

    weights = {"kind": WEIGHTS, "size": WEIGHTS[::-1]}
    case = Case(
        build,
        "low",
        X,
        {"kind": classes(), "size": floats(1)},
        {
            "loss": {"kind": "sparse_categorical_crossentropy", "size": "mse"},
            "weighted_metrics": {"kind": ["accuracy"], "size": ["mae"]},
        },
    )
    assert_trains_as_whole(
        case.build, case.cut, case.settings(), lambda model: case.fit(model, sample_weight=weights)
    )


def test_weights_for_each_time_step():
    def build():
        return keras.Sequential(
            [
                keras.Input((5, 3)),
                keras.layers.Dense(4, activation="relu", name="low"),
                keras.layers.Dense(1, name="value"),
            ]
        )

    case = Case(build, "low", floats(5, 3), floats(5, 1), {"loss": "mse", "weighted_metrics": ["mae"]})
    weights = np.abs(floats(5))
    assert_trains_as_whole(
        case.build, case.cut, case.settings(), lambda model: case.fit(model, sample_weight=weights)
    )


def test_several_steps_per_execution():
    settings = mlp_case(steps_per_execution=4).settings()
    # Five batches: one execution of four steps and one of what is left.
    source = {"x": X, "y": Y, "batch_size": 4}
    assert_trains_as_whole(
        CASE.build, CASE.cut, settings, fit(lambda: source, validation_data=(X[:13], Y[:13]))
    )
