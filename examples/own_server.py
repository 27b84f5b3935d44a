"""Two parties on one machine: a server that owns the model, and a client that owns the data.

The example plays both. The server's party saves a compiled model and serves everything behind
`pool2`; the client gets the first layers' description over TLS, trains, saves its half, and later
continues where it was. On two machines, each party runs its own part of `main`.

Run it with `python examples/own_server.py`.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras

import keras_split
from keras_split import certs, datasets


def main(quick: bool = False) -> None:
    """Plays both parties, one after the other."""
    epochs = 1 if quick else 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder / "lenet.keras")
        # One authority, one server, one data owner. A company would use its own authority.
        certs.create(folder / "pki", server=["localhost"], clients=["hospital"])
        with serving(folder) as target:
            train_as_the_data_owner(folder, target, epochs)


def make_model(path: Path) -> None:
    """The server's party chooses the architecture, the optimizer and the loss."""
    model = keras_split.zoo.lenet((8, 8, 1))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save(path)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Runs `keras-split serve` as it would run on the other machine, and yields its address."""
    command = [sys.executable, "-m", "keras_split", "serve", str(folder / "lenet.keras")]
    # Snapshots in a folder outlive the server, and with them the client's right to come back.
    options = ["--cut", "pool2", "--host", "localhost", "--port", "0"]
    folders = ["--certificates", str(folder / "pki/server"), "--checkpoint-dir", str(folder / "kept")]
    server = subprocess.Popen([*command, *options, *folders], stdout=subprocess.PIPE, text=True)
    try:
        # The last word of `Listening on localhost:40123`; nothing at all if it could not start.
        words = server.stdout.readline().split()
        if not words:
            raise SystemExit("The server did not start; it says why above.")
        yield words[-1]
    finally:
        server.terminate()  # It finishes its step and writes a snapshot.
        server.wait()


def train_as_the_data_owner(folder: Path, target: str, epochs: int) -> None:
    """All that the client's party runs: it has the data, certificates and an address."""
    data = datasets.load("digits")
    credentials = keras_split.Credentials.from_directory(folder / "pki/hospital")

    # The head's layers come from the server and are checked before they are built. Its initial
    # weights are drawn here, from a secret that the server does not learn.
    split = keras_split.SplitModel.connect(target, credentials=credentials)
    split.summary()
    split.fit(data.x_train, data.y_train, batch_size=64, epochs=epochs, verbose=2)
    before = split.evaluate(data.x_test, data.y_test, verbose=0)

    # The file holds the client's half and a ticket for the server's, but neither address nor keys.
    split.save(folder / "half.keras")
    split.close()

    again = keras.models.load_model(folder / "half.keras")
    again.connect(target, credentials=credentials)
    after = again.evaluate(data.x_test, data.y_test, verbose=0)
    print(f"Accuracy {before[1]:.3f} before saving and {after[1]:.3f} after loading.")
    again.fit(data.x_train, data.y_train, batch_size=64, epochs=1, verbose=2)
    again.close()


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
