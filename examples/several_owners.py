"""Two data owners and a server on one machine: one model, trained in turns, and no row leaves its owner.

The script plays all parties. It makes certificates, keys and the signed roster, starts the server, and then
itself twice again, as `hospital-a` and as `hospital-b`. Each of these has its own rows, waits for its turns,
trains an epoch, and hands the sealed state of its layers to the other. On several machines, each party runs
its own part: `make_model` and `serving` the server's, `train_as` a data owner's.

Run it with `python examples/several_owners.py`.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras_split
from keras_split import certs, datasets
from keras_split.crypto import Identity, create_roster

NAMES = ("hospital-a", "hospital-b")


def main(quick: bool = False) -> None:
    """Plays all parties."""
    epochs = 2 if quick else 5
    datasets.load("digits")  # Two processes must not prepare it at the same time.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder / "lenet.keras")
        certs.create(folder / "pki", server=["localhost"], clients=NAMES)
        make_roster(folder)
        with serving(folder) as target:
            train_all(folder, target, epochs)


def make_model(path: Path) -> None:
    """The server's party chooses the architecture, the optimizer and the loss."""
    model = keras_split.zoo.lenet((8, 8, 1))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save(path)


def make_roster(folder: Path) -> None:
    """Data owners make keys, which stay with them; an owner of the roster signs their public parts."""
    members = []
    for name in NAMES:
        identity = Identity.generate(name)
        identity.save(folder / f"{name}.key")
        members.append(identity.member)
    owner = Identity.generate("owner")
    (folder / "roster.json").write_text(create_roster(members, [owner.member], signers=[owner]))


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Runs `keras-split serve` as it would run on the server's machine, and yields its address."""
    command = [sys.executable, "-m", "keras_split", "serve", str(folder / "lenet.keras")]
    options = ["--cut", "pool2", "--host", "localhost", "--port", "0"]
    folders = ["--certificates", str(folder / "pki/server"), "--checkpoint-dir", str(folder / "kept")]
    turns = ["--roster", str(folder / "roster.json"), "--turns", "round-robin", "--steps-per-turn", "epoch"]
    server = subprocess.Popen([*command, *options, *folders, *turns], stdout=subprocess.PIPE, text=True)
    try:
        # The last word of `Listening on localhost:40123`; nothing at all if it could not start.
        words = server.stdout.readline().split()
        if not words:
            raise SystemExit("The server did not start; it says why above.")
        yield words[-1]
    finally:
        server.terminate()
        server.wait()


def train_all(folder: Path, target: str, epochs: int) -> None:
    """Both data owners at the same time, each in a process of its own."""
    command = [sys.executable, __file__, str(folder), target, str(epochs)]
    owners = [subprocess.Popen([*command, name]) for name in NAMES]
    try:
        if any([owner.wait() for owner in owners]):
            raise SystemExit("A data owner did not come to its end; it says why above.")
    finally:
        for owner in owners:
            owner.kill()


def train_as(folder: Path, target: str, epochs: int, name: str) -> None:
    """All that a data owner's party runs: it has rows, keys, certificates, the roster and an address."""
    data = datasets.load("digits")
    # Every third row is hospital-a's, the others are hospital-b's.
    own = [row for row in range(len(data.x_train)) if (row % 3 == 0) == (name == NAMES[0])]
    split = keras_split.SplitModel.connect(
        target,
        credentials=keras_split.Credentials.from_directory(folder / "pki" / name),
        identity=folder / f"{name}.key",
        roster=folder / "roster.json",
        handover="server",
    )
    # Validated within its turn, so that both halves are at one update.
    scores = split.fit(
        data.x_train[own],
        data.y_train[own],
        epochs=epochs,
        validation_data=(data.x_test, data.y_test),
        verbose=0,
    ).history["val_accuracy"]
    shown = ", ".join(f"{score:.3f}" for score in scores)
    print(f"{name} has {len(own)} rows; accuracy after each of its turns: {shown}", flush=True)
    split.close()


if __name__ == "__main__":
    if len(sys.argv) > 4:
        train_as(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main(quick="--quick" in sys.argv)
