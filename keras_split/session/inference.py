"""Inference over a stream of its own, which needs no turn."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message
from keras_split.errors import ConnectionLost, SplitError
from keras_split.session.position import Position
from keras_split.session.prepared import Prepared
from keras_split.session.remote import Remote


class Inference:
    """Asks for outputs; thread-safe, since Keras lets several threads predict with one model.

    Args:
        remote: The body.
        position: Where this half is, to compare with the server's.
    """

    def __init__(self, remote: Remote, position: Position):
        self._remote = remote
        self._position = position
        self._warned = False
        # A stream answers in order.
        self._lock = threading.Lock()

    def infer(self, prepared: Prepared, tensors: Sequence[np.ndarray], combine: bool) -> list[np.ndarray]:
        """One inference; `combine` allows the server to compute it together with others'."""
        infer = pb.Infer(model=self._remote.model, signature=prepared.signature, combine=combine)
        with self._lock:
            message = self._remote.persistently(lambda: self._ask(prepared, infer, tensors))
        self._compare(message.header.inferred.version)
        return prepared.check(message.tensors, self._remote.target, prepared.outputs)

    def end(self) -> None:
        """Frees the server's thread that waits for further requests."""
        with self._lock:
            self._remote.end("Infer")

    def _ask(self, prepared: Prepared, infer: pb.Infer, tensors: Sequence[np.ndarray]) -> Message:
        streams = self._remote.streams
        if "Infer" not in streams:
            streams["Infer"] = self._remote.converse("Infer")
        stream = streams["Infer"]
        try:
            self._remote.prepare_again(prepared)
            return stream.ask(
                pb.Header(infer=infer), tensors, ("inferred",), self._remote.timeouts.step_seconds
            )
        except SplitError as error:
            self._remote.drop("Infer")
            if isinstance(error, ConnectionLost):
                self._remote.hang_up()
            raise

    def _compare(self, version: int) -> None:
        if version != self._position.version and not self._warned:
            self._warned = True
            warnings.warn(
                f"The server's half has seen {version} updates and this one {self._position.version}, "
                "since it is being trained elsewhere. Predictions mix the two; load the matching half "
                "for exact ones.",
                stacklevel=2,
            )
