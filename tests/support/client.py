"""A client in a process of its own: `python -m support.client served|private FOLDER …`.

It trains with BackupAndRestore, so that the same command goes on where a killed one stopped, and says
`Done` at its end.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

import keras_split
from keras_split.local import local_server
from support import bodies
from support.equality import client_state, server_state
from support.halves import train
from support.processes import Process

EPOCHS = 3


class Client(Process):
    """The process, seen from the test.

    Args:
        folder: For its log and its backup.
        arguments: `("served", address, certificates, start)` or `("private", second_cut)`.
        variables: Environment variables of its own, a gate's for instance.
    """

    def __init__(self, folder: Path, *arguments: str, variables: dict[str, str] | None = None):
        command = ["-m", "support.client", str(folder), *arguments]
        super().__init__(command, folder / "client.log", variables)

    @property
    def private_server(self) -> int:
        """The process that it has started."""
        return int(self.line("Server "))

    def until_done(self) -> None:
        """It has trained to the end."""
        self.line("Done")


def main(folder: Path, kind: str, *arguments: str) -> None:
    """Trains to the end of the last epoch."""
    split = served(*arguments) if kind == "served" else private(folder, *arguments)
    backup = keras.callbacks.BackupAndRestore(folder / "backup")
    train(split, epochs=EPOCHS, callbacks=[backup])
    if kind == "private":
        np.savez(folder / "client.npz", **_flat(client_state(split)))
        np.savez(folder / "server.npz", **_flat(server_state(split)))
    print("Done")


def served(address: str, certificates: str, start: str) -> keras_split.SplitModel:
    """A client of a served body, at the beginning of both halves."""
    credentials = keras_split.Credentials.from_directory(certificates)
    split = keras_split.SplitModel.connect(address, credentials)
    split.load_weights(start)
    return split


def private(folder: Path, second_cut: str = "") -> keras_split.SplitModel:
    """A client with a server of its own, whose snapshots outlive both."""
    keras.utils.set_random_seed(bodies.SEED)
    model = bodies.small()
    snapshots = str(folder / "snapshots")
    split = keras_split.SplitModel(model, bodies.CUT, second_cut or None, checkpoint_dir=snapshots)
    split.compile_from_config(model.get_compile_config())
    print(f"Server {local_server().process.pid}")
    return split


def load_state(path: Path) -> dict[str, np.ndarray]:
    """What `main` has left."""
    with np.load(path) as arrays:
        return {name.replace("|", "/"): arrays[name] for name in arrays}


def _flat(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.replace("/", "|"): array for name, array in state.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
