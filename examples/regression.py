"""Regression: how far diabetes will have progressed in a year, from ten measurements of a patient.

442 patients of Efron and others, "Least angle regression" (2004), which come with scikit-learn. The
loss is the mean squared error, the paper's Euclidean loss; what is printed is what a doctor can read,
the mean absolute error in points of the scale (25 to 346), and R2.

Run it with `python examples/regression.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers
from side_by_side import Data, EpochBar, run, show
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

import keras_split


def main(quick: bool, seed: int) -> None:
    """Trains the same model whole and split, and compares."""
    data = load(quick)
    epochs = 2 if quick else 20
    whole = train(build(data, seed), data, epochs, seed)
    # Raw measurements and the ten means and deviations stay; 32 numbers per patient travel.
    split = train(keras_split.SplitModel(build(data, seed), cut="measured"), data, epochs, seed)
    show(whole, split, score, data)


@dataclass(frozen=True)
class Patients(Data):
    """Measurements `(rows, 10)` as taken, and progression `(rows, 1)` in deviations from the mean."""

    points: float  # in one standard deviation


def load(quick: bool) -> Patients:
    """Four patients in five to learn from."""
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x, y = x.astype("float32"), y.astype("float32")[:, np.newaxis]
    if quick:
        x, y = x[:120], y[:120]
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=0)
    mean, points = y_train.mean(), y_train.std()
    return Patients(x_train, (y_train - mean) / points, x_test, (y_test - mean) / points, float(points))


def build(data: Patients, seed: int) -> keras.Model:
    """Two layers with a client, two with the server."""
    keras.utils.set_random_seed(seed)
    standardise = layers.Normalization(name="standardise")
    standardise.adapt(data.x_train)
    return keras.Sequential(
        [
            keras.Input((10,)),
            standardise,
            layers.Dense(32, activation="relu", name="measured"),
            layers.Dropout(0.2, name="forget"),
            layers.Dense(16, activation="relu", name="combined"),
            layers.Dense(1, name="progression"),
        ]
    )


def train(model: keras.Model, data: Patients, epochs: int, seed: int) -> keras.Model:
    """The same lines for both."""
    keras.utils.set_random_seed(seed)
    model.compile(
        optimizer=keras.optimizers.AdamW(3e-3),
        loss="mean_squared_error",
        metrics=["mae", keras.metrics.R2Score()],
    )
    model.fit(data.x_train, data.y_train, batch_size=32, epochs=epochs, verbose=0, callbacks=[EpochBar()])
    return model


def score(model: keras.Model, data: Patients) -> dict[str, float]:
    """On patients that were never trained on."""
    found = model.evaluate(data.x_test, data.y_test, verbose=0, return_dict=True)
    return {"Mean absolute error, points": found["mae"] * data.points, "R²": found["r2_score"]}


if __name__ == "__main__":
    run(main)
