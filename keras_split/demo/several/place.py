"""What each party has before the first turn: certificates, keys, the roster, the model and its own rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_split import certs
from keras_split.crypto import Identity, create_roster, read_rosters
from keras_split.datasets import Dataset

_HOSTS = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Place:
    """A folder with a subfolder for each party; a data owner's process gets its own alone.

    Args:
        folder: Which.
        members: Names of the data owners, in the roster's order.
    """

    folder: Path
    members: tuple[str, ...]

    @property
    def model(self) -> Path:
        """The compiled model, which the server's party has."""
        return self.folder / "model.keras"

    @property
    def roster(self) -> Path:
        """The signed list of members."""
        return self.folder / "roster.json"

    @property
    def commits(self) -> Path:
        """Where the server keeps the run."""
        return self.folder / "kept" / read_rosters(self.roster.read_text())[-1].run

    def certificates(self, party: str) -> Path:
        """A party's certificate, key and authority."""
        return self.folder / "pki" / party

    def of(self, member: str) -> Path:
        """A data owner's own folder."""
        return self.folder / member

    def rows(self, member: str) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels that a data owner has."""
        with np.load(self.of(member) / "rows.npz") as found:
            return found["x"], found["y"]


def prepare(folder: Path, count: int, model: keras.Model, data: Dataset, seed: int) -> Place:
    """Makes everything.

    Args:
        folder: Empty.
        count: Of data owners.
        model: Compiled.
        data: Its training rows are dealt out; all data owners get the test rows.
        seed: For who gets which rows.
    """
    place = Place(folder, tuple(f"hospital-{letter}" for letter in "abcdefghij"[:count]))
    model.save(place.model)
    certs.create(folder / "pki", server=_HOSTS, clients=place.members, store=_HOSTS)
    identities = [Identity.generate(name) for name in place.members]
    # Nobody needs the owner's key after this: the roster stays as it is.
    owner = Identity.generate("owner")
    members = [each.member for each in identities]
    place.roster.write_text(create_roster(members, [owner.member], signers=[owner]))
    for identity, rows in zip(identities, shares(len(data.x_train), count, seed), strict=True):
        own = place.of(identity.name)
        own.mkdir()
        identity.save(own / "identity.key")
        np.savez(own / "rows.npz", x=data.x_train[rows], y=data.y_train[rows])
        np.savez(own / "test.npz", x=data.x_test, y=data.y_test)
    return place


def shares(rows: int, count: int, seed: int) -> list[np.ndarray]:
    """Indices of each data owner's rows, in the order in which it trains them.

    The shares are uneven: with three data owners as 2 to 3 to 4.
    """
    weights = np.arange(2, count + 2)
    ends = np.round(np.cumsum(weights) / weights.sum() * rows).astype(int)[:-1]
    return np.split(np.random.default_rng(seed).permutation(rows), ends)
