"""Keep a trained head as it is, and train only the server's part on a new task.

A small network first learns the digits 0 to 4. Its convolutions are then frozen and become the head;
the server trains a new body on the digits 5 to 9. A head that is not trained needs no gradient, so
the server neither computes nor sends one: far fewer bytes come back than go out.

Run it with `python examples/transfer_learning.py`.
"""

from __future__ import annotations

import sys

import keras
import numpy as np
from keras import layers

import keras_split
from keras_split import datasets

# Rows "train" and "test", each of them images and labels.
Task = dict[str, tuple[np.ndarray, np.ndarray]]


def main(quick: bool = False) -> None:
    """Trains a whole network, freezes its first half, and trains the rest split."""
    keras.utils.set_random_seed(7)
    epochs = 1 if quick else 6
    data = datasets.load("digits")
    first, second = select(data, range(0, 5)), select(data, range(5, 10))

    # What a data owner already has, or downloads: a network that was trained on something similar.
    features = keras.Sequential(
        [
            keras.Input(data.x_train.shape[1:]),
            layers.Conv2D(16, 3, activation="relu", name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(32, 2, activation="relu", name="conv2"),
        ],
        name="features",
    )
    pretrained = keras.Sequential([features, layers.Flatten(), layers.Dense(5, activation="softmax")])
    train(pretrained, first, epochs)

    # Frozen before it is split, so that both sides know that no gradient has to come down.
    features.trainable = False
    before = [weight.copy() for weight in features.get_weights()]
    model = keras.Sequential(
        [
            features,
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(5, activation="softmax", name="scores"),
        ]
    )
    split = keras_split.SplitModel(model, cut="features")
    history = train(split, second, epochs)

    sent, received = history["bytes_sent"][-1], history["bytes_received"][-1]
    print(f"Accuracy on the digits 5 to 9: {history['val_accuracy'][-1]:.3f}")
    print(f"The last epoch sent {sent:,} bytes and received {received:,}.")
    unchanged = all(map(np.array_equal, before, features.get_weights()))
    print(f"The head is what it was: {unchanged}")


def select(data: datasets.Dataset, digits: range) -> Task:
    """Train and test rows of some digits, labelled from 0."""
    found = {}
    for part, x, y in (("train", data.x_train, data.y_train), ("test", data.x_test, data.y_test)):
        rows = np.isin(y, digits)
        found[part] = (x[rows], y[rows] - digits.start)
    return found


def train(model: keras.Model, task: Task, epochs: int) -> dict[str, list[float]]:
    """The same lines for a whole and for a split model."""
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(*task["train"], validation_data=task["test"], batch_size=32, epochs=epochs, verbose=2)
    return history.history


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
