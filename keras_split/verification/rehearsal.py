"""A run of several data owners that is only tried out: keys, certificates, a roster and a server process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_split import certs
from keras_split.crypto import Identity, create_roster, read_rosters
from keras_split.local import LocalServer
from keras_split.model import SplitModel
from keras_split.model.own_objects import modules_of_own_objects
from keras_split.numerics import Numerics
from keras_split.state import Bundle, Shelf
from keras_split.transport import Credentials

Names = str | Sequence[str]
Cuts = tuple[Names, Names | None]


class Rehearsal(LocalServer):
    """Serves a model to members that it makes up; files and process end with this one.

    Args:
        model: Compiled.
        cuts: As in `SplitModel`; the second one may be None.
        names: The members.
    """

    def __init__(self, model: keras.Model, cuts: Cuts, names: Sequence[str]):
        self._model = model
        self._cuts = [_listed(each) for each in cuts]
        self.names = names
        super().__init__()

    def connect(self, name: str, handover: str) -> SplitModel:
        """A member, compiled as the model is."""
        split: SplitModel = SplitModel.connect(
            self.address(),
            Credentials.from_directory(self.folder / "pki" / name),
            custom_layers=_own_layers(),
            identity=self._key(name),
            roster=self.folder / "roster.json",
            handover=handover,
        )
        split.compile_from_config({**self._model.get_compile_config(), "jit_compile": "auto"})
        return split

    def body(self) -> Bundle:
        """The server's state of the last commit; of the beginning, where there is none."""
        run = read_rosters((self.folder / "roster.json").read_text())[-1].run
        found = Shelf(self.folder / "server" / run / "commits").latest()
        if found is None:
            raise RuntimeError("The server has kept no state of the run.")
        return found[1]

    def _prepare(self) -> None:
        certs.create(self.folder / "pki", server=["localhost", "127.0.0.1"], clients=self.names)
        owner = Identity.generate("owner")
        members = [Identity.generate(name) for name in self.names]
        for member in members:
            member.save(self._key(member.name))
        roster = create_roster([each.member for each in members], [owner.member], signers=[owner])
        (self.folder / "roster.json").write_text(roster)
        (self.folder / "rehearsal.json").write_text(json.dumps(self._described()))
        self._model.save(self.folder / "model.keras")

    def _described(self) -> dict[str, Any]:
        return {
            "cut": self._cuts[0],
            "second_cut": self._cuts[1],
            "modules": modules_of_own_objects(),
            "numerics": Numerics.current().to_config(),
        }

    def _command(self) -> list[str]:
        return ["-m", "keras_split.server.rehearsal", *super()._command()[2:]]

    def _key(self, name: str) -> Path:
        return self.folder / f"{name}.key"


def _own_layers() -> dict[str, type]:
    """Those that the user has registered, which a data owner would name to `connect`."""
    found = keras.saving.get_custom_objects().items()
    return {name: each for name, each in found if isinstance(each, type) and _is_own_layer(each)}


def _is_own_layer(kind: type) -> bool:
    return issubclass(kind, keras.layers.Layer) and kind.__module__.partition(".")[0] != "keras_split"


def _listed(names: Names | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())
