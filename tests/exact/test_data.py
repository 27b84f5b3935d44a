"""However the data comes, both trainings see the same of it."""

from __future__ import annotations

from contextlib import closing

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from support.models import CLASSES, ROWS, Case, classes, floats, mlp_case
from support.pairs import Twins, assert_trains_as_whole

CASE = mlp_case(weighted_metrics=["accuracy", "sparse_categorical_crossentropy"])
X, Y = CASE.x, CASE.y
# Labels shared, and label-free.
MODES = (None, "high_drop")
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


IN_MEMORY = {
    "shuffled": lambda: {"x": X, "y": Y, "batch_size": 8},
    "in order": lambda: {"x": X, "y": Y, "batch_size": 8, "shuffle": False},
    "in shuffled batches": lambda: {"x": X, "y": Y, "batch_size": 8, "shuffle": "batch"},
    "in one batch": lambda: {"x": X, "y": Y, "batch_size": 64},
    "with one row left": lambda: {"x": X[:17], "y": Y[:17], "batch_size": 8},
    "tensors": lambda: {"x": tf.constant(X), "y": tf.constant(Y), "batch_size": 8},
}

FRAMES = {
    "pandas": lambda: {"x": pd.DataFrame(X, columns=list("abcdef")), "y": pd.Series(Y), "batch_size": 8}
}

DATA_SETS = {
    "batches": lambda: {"x": batches(), "shuffle": False},
    "batches of one size": lambda: {"x": batches(drop_remainder=True), "shuffle": False},
    "shuffled and weighted": lambda: {"x": shuffled(), "shuffle": False},
    "endless": lambda: {"x": batches().repeat(), "steps_per_epoch": 4, "shuffle": False},
}

GENERATORS = {
    "plain": lambda: {"x": generator(), "steps_per_epoch": 3, "shuffle": False},
    "weighted": lambda: {"x": generator(True), "steps_per_epoch": 3, "shuffle": False},
}

PY_DATASETS = {
    "one thread": lambda: {"x": Batches()},
    "two threads": lambda: {"x": Batches(workers=2, max_queue_size=2)},
    # These are started after the connection to the server, and inherit it.
    "two processes": lambda: {"x": Batches(workers=2, use_multiprocessing=True, max_queue_size=2)},
    "threads again": lambda: {"x": Batches(workers=2, max_queue_size=2)},
}

WEIGHTED = {
    "rows": lambda: {"x": X, "y": Y, "batch_size": 8, "sample_weight": WEIGHTS},
    "classes": lambda: {"x": X, "y": Y, "batch_size": 8, "class_weight": CLASS_WEIGHT},
}

VALIDATED = {
    "split": {"validation_split": 0.3},
    "data": {"validation_data": (X[:13], Y[:13])},
    "weighted data": {"validation_data": (X[:13], Y[:13], WEIGHTS[:13])},
    "every second epoch": {"validation_data": (X[:13], Y[:13]), "validation_freq": 2},
    "batch size of its own": {"validation_split": 0.3, "validation_batch_size": 4},
    "some steps": {"validation_data": batches(), "validation_steps": 2},
}


@pytest.fixture(scope="module")
def twins():
    with closing(Twins(CASE, *MODES)) as made:
        yield made


def fit_to(sources):
    """Fits to one source after the other; results are compared under the sources' names."""

    def train(model):
        return {name: model.fit(**make(), epochs=2, verbose=0) for name, make in sources.items()}

    return train


def weighted_by(case, weights):
    def train(model):
        return model.fit(case.x, case.y, sample_weight=weights, batch_size=8, epochs=2, verbose=0)

    return train


def test_arrays_and_tensors(twins):
    twins.assert_alike(fit_to(IN_MEMORY))


def test_frames():
    # Models of their own: Keras takes no frame after arrays, whose labels have another rank.
    assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(), fit_to(FRAMES), *MODES)


def test_data_sets_of_tensorflow(twins):
    twins.assert_alike(fit_to(DATA_SETS))


def test_generators(twins):
    twins.assert_alike(fit_to(GENERATORS))


# Python 3.12 warns of forks in general; gRPC's and TensorFlow's threads stay behind, and are not needed.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_py_datasets_with_workers(twins):
    twins.assert_alike(fit_to(PY_DATASETS))


def test_weights_of_rows_and_classes(twins):
    twins.assert_alike(fit_to(WEIGHTED))


def test_validation(twins):
    fit = {"x": X, "y": Y, "batch_size": 8}
    twins.assert_alike(fit_to({name: lambda each=each: fit | each for name, each in VALIDATED.items()}))


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
    assert_trains_as_whole(case.build, case.cut, case.settings(), weighted_by(case, weights))


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
    assert_trains_as_whole(case.build, case.cut, case.settings(), weighted_by(case, weights))


def test_several_steps_per_execution():
    # Five batches: one execution of four steps and one of what is left.
    source = {
        **{"x": X, "y": Y, "batch_size": 4, "sample_weight": WEIGHTS},
        "validation_data": (X[:13], Y[:13]),
    }
    settings = CASE.settings()
    assert_trains_as_whole(
        CASE.build,
        CASE.cut,
        lambda: {**settings(), "steps_per_execution": 4},
        fit_to({"four": lambda: source}),
        *MODES,
    )
