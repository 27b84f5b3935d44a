"""Train LeNet with its first layers in this process and the rest in a server process.

Run it with `python examples/quickstart.py`. The server is started by the package and ends with this
program, so there is nothing to set up.
"""

from __future__ import annotations

import sys

import keras

import keras_split
from keras_split import datasets


def main(quick: bool = False) -> None:
    """Trains, evaluates, and puts both halves together again."""
    keras.utils.set_random_seed(7)  # So that two runs print the same numbers.
    data = datasets.load("digits")
    model = keras_split.zoo.lenet(data.x_train.shape[1:])

    # Everything up to and including `pool2` stays here; what `pool2` produces is what travels.
    split = keras_split.SplitModel(model, cut="pool2")
    split.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    split.summary()

    history = split.fit(
        data.x_train,
        data.y_train,
        batch_size=64,
        epochs=1 if quick else 5,
        validation_split=0.1,
        verbose=2,
    ).history
    print(f"An epoch sent {history['bytes_sent'][-1]:,} bytes to the server.")

    _, accuracy = split.evaluate(data.x_test, data.y_test, verbose=0)
    print(f"Accuracy on {len(data.y_test)} images that were never trained on: {accuracy:.3f}")

    # The private server belongs to this process, so both halves can be put together again.
    whole = split.whole_model()
    same = (whole.predict(data.x_test, verbose=0) == split.predict(data.x_test, verbose=0)).all()
    print(f"The assembled model predicts exactly what the split one does: {same}")


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
