"""Sequences: the exercise that somebody does, told from the movement sensors of a watch.

Seven shoulder exercises of physiotherapy by ten persons with either arm, from Burns and others, "Shoulder
physiotherapy exercise recognition" (2018), which come with seglearn. Recordings last 18 to 52 seconds, so
they are padded, and a mask says where each one ends. A GRU reads them on the client and an LSTM goes on
at the server, then the other way round. Three of the ten persons are held out.

Run it with `python examples/sequences.py` after `pip install '.[examples]'`.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers
from seglearn.datasets import load_watch
from side_by_side import Data, EpochBar, run, show
from sklearn.metrics import f1_score

import keras_split

HERTZ = 50
PADDING = -9.0


def main(quick: bool, seed: int) -> None:
    """Trains two models, each whole and split, and compares."""
    data = load(quick)
    epochs = 1 if quick else 15
    for client, server in ((layers.GRU, layers.LSTM), (layers.LSTM, layers.GRU)):
        print(f"\n{client.__name__} on the client, {server.__name__} on the server\n")
        whole = train(build(data, client, server, seed), data, epochs, seed)
        # The recording stays; 24 numbers for each second travel, and the mask with them.
        split = keras_split.SplitModel(build(data, client, server, seed), cut="client_reads")
        train(split, data, epochs, seed)
        show(whole, split, score, data)


def load(quick: bool) -> Data:
    """Recordings `(rows, seconds, 12)`, padded behind, and exercises `(rows,)`.

    The twelve are mean and spread of six channels. Three of the ten persons are held out.
    """
    watch = load_watch()
    recordings = [seconds(each)[: 12 if quick else None] for each in watch["X"]]
    held_out = np.isin(watch["subject"], [3, 6, 9])
    known = np.concatenate([each for each, out in zip(recordings, held_out, strict=True) if not out])
    x = pad([(each - known.mean(axis=0)) / known.std(axis=0) for each in recordings])
    y = np.asarray(watch["y"])
    return Data(x[~held_out], y[~held_out], x[held_out], y[held_out])


def seconds(recording: np.ndarray) -> np.ndarray:
    """`(samples, channels)` to `(seconds, 2 * channels)`; a second that has begun is dropped."""
    whole = len(recording) // HERTZ
    parts = recording[: whole * HERTZ].reshape(whole, HERTZ, -1)
    return np.concatenate([parts.mean(axis=1), parts.std(axis=1)], axis=1).astype("float32")


def pad(recordings: list[np.ndarray]) -> np.ndarray:
    """One array, with PADDING behind each recording that is shorter than the longest."""
    longest = max(map(len, recordings))
    return np.stack(
        [np.pad(each, ((0, longest - len(each)), (0, 0)), constant_values=PADDING) for each in recordings]
    )


def build(data: Data, client: type, server: type, seed: int) -> keras.Model:
    """One recurrent layer on either side of the cut."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input(data.x_train.shape[1:]),
            layers.Masking(PADDING, name="ends"),
            client(24, return_sequences=True, dropout=0.1, name="client_reads"),
            server(24, dropout=0.1, name="server_reads"),
            layers.Dense(7, activation="softmax", name="exercise"),
        ]
    )


def train(model: keras.Model, data: Data, epochs: int, seed: int) -> keras.Model:
    """The same lines for both."""
    keras.utils.set_random_seed(seed)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-2),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(data.x_train, data.y_train, batch_size=16, epochs=epochs, verbose=0, callbacks=[EpochBar()])
    return model


def score(model: keras.Model, data: Data) -> dict[str, float]:
    """On persons that were never trained on."""
    found = model.predict(data.x_test, verbose=0).argmax(axis=-1)
    accuracy = float(np.mean(found == data.y_test))
    return {"Accuracy": accuracy, "F1, macro": float(f1_score(data.y_test, found, average="macro"))}


if __name__ == "__main__":
    run(main)
