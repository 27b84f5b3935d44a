"""A small search, as a program too: `python -m support.search FOLDER`.

In the environment of a chief or a worker, the program is one. It says `Trial N` when one begins, and at
the end prints KerasTuner's summary and `Done`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras import layers

from keras_split.tuning import SplitHyperModel

FEATURES = 6
CLASSES = 3
CUTS = ["low", "low_drop", "middle"]
MAX_TRIALS = 3


def build(hp: Any, optimizer: Callable[[float], Any] = keras.optimizers.Adam) -> keras.Model:
    """Randomness and optimizer variables on both sides, always from the same seed."""
    keras.utils.set_random_seed(7)
    units = hp.Int("units", 4, 16, step=4)
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(units, activation="tanh", name="low"),
            layers.Dropout(0.2, name="low_drop"),
            layers.Dense(8, activation="relu", name="middle"),
            layers.Dropout(0.2, name="high_drop"),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ],
        name="searched",
    )
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(optimizer(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_plainly(hp: Any) -> keras.Model:
    """With an optimizer that has no variables besides what it counts."""
    return build(hp, keras.optimizers.SGD)


def unsplit(build_model: Callable[[Any], keras.Model], **cuts: list[str]) -> Callable[[Any], keras.Model]:
    """The same search space without a split, the choices of cuts among it."""

    def build_whole(hp: Any) -> keras.Model:
        model = build_model(hp)
        for name, choice in cuts.items():
            hp.Choice(name, choice)
        return model

    return build_whole


def data() -> tuple[np.ndarray, np.ndarray]:
    """The same rows in every process."""
    random = np.random.default_rng(3)
    return random.normal(size=(24, FEATURES)).astype("float32"), random.integers(0, CLASSES, 24)


def random_search(hypermodel: Any, folder: Path, **options: Any) -> keras_tuner.RandomSearch:
    """A tuner that goes on where another of this folder stopped."""
    options = {"max_trials": MAX_TRIALS, "seed": 5, **options}
    return keras_tuner.RandomSearch(hypermodel, "val_loss", directory=folder, **options)


def search(tuner: Any, **options: Any) -> Any:
    """Searches, and returns the tuner."""
    x, y = data()
    options = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0, **options}
    tuner.search(x, y, validation_data=(x, y), **options)
    return tuner


class Announce(keras.callbacks.Callback):
    """Says when a trial begins."""

    number = 0

    def on_train_begin(self, logs: Any = None) -> None:
        Announce.number += 1
        print(f"Trial {Announce.number}")


if __name__ == "__main__":
    found = search(
        random_search(SplitHyperModel(build, CUTS), Path(sys.argv[1])), callbacks=[Announce()], epochs=4
    )
    if not found._is_worker():
        found.results_summary()
    print("Done")
