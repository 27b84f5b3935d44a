"""The models of one server process: the one it serves, or those that its owner places on it."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_split.errors import Refused, TopologyError
from keras_split.numerics import Numerics
from keras_split.partition import Part, named_variables, rebuild, settle_statistics, without_flags
from keras_split.server.admission import Admission
from keras_split.server.options import ServingOptions
from keras_split.server.placed import read_placed
from keras_split.server.served import Served
from keras_split.state import Shelf, write


class Hosting:
    """Finds models by name.

    Args:
        options: How bodies are served.
        scratch: For snapshots of bodies whose owner names no folder.
        admission: Who may place bodies here.
    """

    def __init__(self, options: ServingOptions, scratch: Path, admission: Admission):
        self.check_settings = admission.check_settings
        self._options = options
        self._scratch = scratch
        self._admission = admission
        self._models: dict[str, Served] = {}
        self._lock = threading.Lock()

    def serve(self, served: Served) -> None:
        """Adds the one model that this server is for."""
        self._models[served.topology["name"]] = served

    def host(self, body_json: str, folder: str, state: list[np.ndarray]) -> str:
        """Builds a client's body with its state, and returns the name to ask for it.

        Raises:
            Refused: This server takes none, or not so.
            TopologyError: A body that cannot or must not be built here.
            ProtocolError: A description that is not one of a body.
        """
        config = self._admission.admit(read_placed(body_json), folder)
        # As hard to guess as a key: who knows it may use the body.
        name = f"{config['topology']['name']}-{secrets.token_hex(16)}"
        served = self._built(config, Path(folder) if folder else self._folder(name), state)
        with self._lock:
            self._models[name] = served
        return name

    def place_again(self, name: str, body_json: str, state: list[np.ndarray]) -> None:
        """Takes over what the owner of a body has changed of it; what it has learned stays.

        Layers with other options begin without an optimizer, and wait for compile settings.

        Raises:
            Refused: There is no such body.
            TopologyError: It cannot or must not be built here.
            ProtocolError: A description that is not one of a body.
        """
        served = self.find(name)
        config = self._admission.admit(read_placed(body_json), "")
        with _belongs_together():
            values = dict(zip(config["variables"], state, strict=True))
            is_other = without_flags(config["body"]) != without_flags(served.placed["body"])
            served.replace(self._part(config) if is_other else None, config, values)

    def find(self, name: str) -> Served:
        """The model of a name, or the only one if the name is empty.

        Raises:
            Refused: There is none of that name.
        """
        with self._lock:
            if not name and len(self._models) == 1 and self._admission.tells_the_only_one:
                return next(iter(self._models.values()))
            if name not in self._models:
                raise Refused(
                    f"This server has no model {name!r}. If it was restarted, build the SplitModel anew."
                )
            return self._models[name]

    def drop(self, name: str) -> None:
        """Forgets a hosted body, and snapshots for which its owner named no folder."""
        with self._lock:
            served = self._models.pop(name, None)
        try:
            if served is not None:
                served.release()
        finally:
            shutil.rmtree(self._folder(name), ignore_errors=True)

    def all(self) -> list[Served]:
        """Every model."""
        with self._lock:
            return list(self._models.values())

    def _folder(self, name: str) -> Path:
        # The part before is the client's choice, and might lead out of here.
        return self._scratch / name.rpartition("-")[2]

    def _built(self, config: dict[str, Any], folder: Path, state: list[np.ndarray]) -> Served:
        with _belongs_together():
            body = self._part(config)
            write(named_variables(body.model), dict(zip(config["variables"], state, strict=True)))
            settle_statistics(body)
            numerics = Numerics(**config["numerics"])
            return Served(config["topology"], body, numerics, Shelf(folder), self._options, placed=config)

    def _part(self, config: dict[str, Any]) -> Part:
        with Numerics(**config["numerics"]).applied():
            body = rebuild(config["body"])
        for name, variable in named_variables(body.model).items():
            # Keras names a variable by the model in which it was made, and some optimizers look at it.
            variable._path = config["paths"][name]
        return body


@contextlib.contextmanager
def _belongs_together() -> Iterator[None]:
    """Says so where the parts of a description do not."""
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise TopologyError(
            "The parts of the body's description do not belong together. Do both sides run the same "
            f"version? {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        ) from error
