"""Training steps over a turn's stream, each exactly once."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message
from keras_split.errors import ProtocolError
from keras_split.segment import Output
from keras_split.session.open_step import OpenStep
from keras_split.session.position import Position
from keras_split.session.prepared import Prepared
from keras_split.session.remote import Remote
from keras_split.session.turn import Turn


class Steps:
    """Sends steps, and those again whose connection broke before the reply.

    Args:
        remote: The body.
        turn: In which they are sent.
        position: Where this half is; each step advances it.
    """

    def __init__(self, remote: Remote, turn: Turn, position: Position):
        self.opened: OpenStep | None = None
        self._remote = remote
        self._turn = turn
        self._position = position

    def whole(
        self,
        prepared: Prepared,
        tensors: Sequence[np.ndarray],
        learning_rate: float | None,
        iterations: int | None = None,
    ) -> list[np.ndarray]:
        """A step that the server computes at one go."""
        step = self._step(prepared, tensors, learning_rate, iterations)
        message = self._remote.persistently(lambda: self._send(step, "stepped"))
        return self._stepped(message, prepared, prepared.outputs)

    def forward(
        self,
        prepared: Prepared,
        tensors: Sequence[np.ndarray],
        learning_rate: float | None,
        iterations: int | None = None,
    ) -> list[np.ndarray]:
        """The first half of a label-free step."""
        self.opened = step = self._step(prepared, tensors, learning_rate, iterations)
        message = self._remote.persistently(lambda: self._send(step, "forwarded"))
        return prepared.check(message.tensors, self._remote.target, prepared.forwarded)

    def backward(self, gradients: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Its second half.

        If the connection broke in between, the server has forgotten the first half, which is sent
        again; it starts from the same state, so that what comes is the same.
        """
        step, self.opened = self.opened, None
        if step is None:
            raise ProtocolError("A step's gradients come after its forward pass.")
        opened = step
        message = self._remote.persistently(lambda: self._send_gradients(opened, gradients))
        return self._stepped(message, opened.prepared, opened.prepared.cut_gradients)

    def _step(
        self,
        prepared: Prepared,
        tensors: Sequence[np.ndarray],
        learning_rate: float | None,
        iterations: int | None = None,
    ) -> OpenStep:
        header = pb.Step(
            signature=prepared.signature,
            version=self._position.version,
            learning_rate=learning_rate,
            step=secrets.randbits(64) or 1,
            iterations=iterations,
        )
        return OpenStep(prepared, header, tensors)

    def _stepped(self, message: Message, prepared: Prepared, wanted: Sequence[Output]) -> list[np.ndarray]:
        values = prepared.check(message.tensors, self._remote.target, wanted)
        self._position.advance(message.header.stepped.version)
        return values

    def _send(self, step: OpenStep, *replies: str) -> Message:
        with self._turn.entered() as stream:
            self._remote.prepare_again(step.prepared)
            step.header.lineage = self._position.lineage
            header = pb.Header(step=step.header)
            message = stream.ask(header, step.tensors, replies, self._remote.timeouts.step_seconds)
            step.asked_in = stream
            return message

    def _send_gradients(self, step: OpenStep, gradients: Sequence[np.ndarray]) -> Message:
        if step.asked_in is not self._turn.stream or self._turn.stream is None:
            message = self._send(step, "forwarded", "stepped")
            if message.header.WhichOneof("content") == "stepped":
                return message  # It had been applied, and only the reply was lost.
        with self._turn.entered() as stream:
            header = pb.Header(backward=pb.Backward(step=step.header.step))
            return stream.ask(header, gradients, ("stepped",), self._remote.timeouts.step_seconds)
