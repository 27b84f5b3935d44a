"""All that a client's half remembers, as one bundle that can be handed to another client."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_split.model.halves import Halves
from keras_split.partition import named_variables
from keras_split.state import Bundle, optimizer_variables, read, write
from keras_split.state.secret import initialise


class ClientState:
    """Head, tail and decoder with their seeds, and the client's optimizer.

    The paper (section 3.4) hands over weights. With an optimizer that has a state, or with Dropout, that
    is not enough for equality with one machine.

    Args:
        model: The split model, compiled; its optimizer is built here.
        halves: The model's.
    """

    def __init__(self, model: keras.Model, halves: Halves):
        self._model = model
        self._halves = halves
        # What Keras made: statistics. The secret gives the rest.
        self._made = read(self._own())
        self.compiled()

    def compiled(self) -> None:
        """The model has a new optimizer, which is still as the compile settings say: the same for all."""
        optimizer = self._model.optimizer
        if not optimizer.built:
            optimizer.build(self._model.trainable_variables)
        self._fresh = {**self._made, **read(optimizer_variables(optimizer))}

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return sum(array.nbytes for array in self._fresh.values())

    def read(self) -> Bundle:
        """The state as it is now."""
        return read(self._variables())

    def write(self, state: Bundle) -> None:
        """Goes to a state.

        Raises:
            ValueError: It is of another model.
        """
        write(self._variables(), state)

    def expand(self, secret: bytes) -> Bundle:
        """The state that a run begins with; the model has it afterwards.

        Args:
            secret: 32 bytes that all clients know, and the server does not.
        """
        self.write(self._fresh)
        for name, part in self._models():
            # Layers of two models may have one name, and must not have the same weights for it.
            initialise(part, hashlib.sha256(b"keras_split part " + name.encode() + b"\0" + secret).digest())
        return self.read()

    def _variables(self) -> dict[str, Any]:
        return {**self._own(), **optimizer_variables(self._model.optimizer)}

    def _own(self) -> dict[str, Any]:
        return {
            f"{name}/{path}": variable
            for name, part in self._models()
            for path, variable in named_variables(part).items()
        }

    def _models(self) -> Iterator[tuple[str, Any]]:
        names = ("head", "tail")
        yield from zip(names, (part.model for part in self._halves.own), strict=False)
        if self._halves.decoder is not None:
            yield "decoder", self._halves.decoder
