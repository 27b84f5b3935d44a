"""The models of one server process: the one it serves, or those that its owner places on it."""

from __future__ import annotations

import contextlib
import importlib
import json
import secrets
import tempfile
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_split.errors import Refused, TopologyError
from keras_split.numerics import Numerics
from keras_split.partition import Part, named_variables
from keras_split.server.served import Served, ServingOptions
from keras_split.state import Shelf, write


class Hosting:
    """Finds models by name.

    Args:
        options: How bodies are served.
        scratch: For snapshots of bodies whose owner names no folder.
        accepts_bodies: Whether clients may place bodies here.
    """

    def __init__(self, options: ServingOptions, scratch: Path, *, accepts_bodies: bool):
        self._options = options
        self._scratch = scratch
        self._accepts_bodies = accepts_bodies
        self._models: dict[str, Served] = {}
        self._lock = threading.Lock()

    def serve(self, served: Served) -> None:
        """Adds the one model that this server is for."""
        self._models[served.topology["name"]] = served

    def host(self, body_json: str, folder: str, state: list[np.ndarray]) -> str:
        """Builds a client's body with its state, and returns the name to ask for it.

        Raises:
            Refused: This server serves a model of its own.
            TopologyError: A body that cannot be built here.
        """
        if not self._accepts_bodies:
            raise Refused("This server serves a model of its own and hosts no other.")
        served = self._build(json.loads(body_json), folder, state)
        name = f"{served.topology['name']}-{secrets.token_hex(4)}"
        with self._lock:
            self._models[name] = served
        return name

    def find(self, name: str) -> Served:
        """The model of a name, or the only one if the name is empty.

        Raises:
            Refused: There is none of that name.
        """
        with self._lock:
            if not name and len(self._models) == 1:
                return next(iter(self._models.values()))
            if name not in self._models:
                raise Refused(
                    f"This server has no model {name!r}. If it was restarted, build the SplitModel anew."
                )
            return self._models[name]

    def drop(self, name: str) -> None:
        """Forgets a hosted body."""
        with self._lock:
            self._models.pop(name, None)

    def all(self) -> list[Served]:
        """Every model."""
        with self._lock:
            return list(self._models.values())

    def _build(self, config: dict[str, Any], folder: str, state: list[np.ndarray]) -> Served:
        _import_all(config["modules"])
        numerics = Numerics(**config["numerics"])
        with numerics.applied():
            body = _rebuild(config["body"])
        variables = named_variables(body.model)
        write(variables, dict(zip(config["variables"], state, strict=True)))
        _settle_statistics(body)
        where = Path(folder) if folder else Path(tempfile.mkdtemp(dir=self._scratch))
        return Served(config["topology"], body, numerics, Shelf(where), self._options, owned=True)


def _import_all(modules: list[str]) -> None:
    """Runs what registers the owner's own layers and functions."""
    for module in modules:
        # Keras names the object that is missing in the end, if it is needed at all.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _settle_statistics(body: Part) -> None:
    """Has adapted Normalization layers take in their variables, which Keras' `load` does by itself."""
    for layer in body.model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _rebuild(config: dict[str, Any]) -> Part:
    try:
        return Part.from_config(config)
    except (ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        raise TopologyError(
            "The server cannot rebuild the body. Own layers must live in a module that the server can "
            "import (not in __main__) and be registered with "
            "`keras.saving.register_keras_serializable`. Keras says: "
            f"{' '.join(str(error).split()).rpartition('Exception encountered: ')[2][:300]}"
        ) from error
