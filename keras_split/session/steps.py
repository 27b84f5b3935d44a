"""Training steps over a turn's stream, each exactly once."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message
from keras_split.errors import ProtocolError
from keras_split.session.conversation import Conversation
from keras_split.session.open_step import OpenStep, Request
from keras_split.session.position import Position
from keras_split.session.prepared import Prepared
from keras_split.session.remote import Remote
from keras_split.session.turn import Turn


class Steps:
    """Sends steps, and those again whose connection broke before the reply.

    A step has one request or several, up to the reply that counts it as applied. If the connection breaks
    before, the server forgets the step and hears all of its requests again, from the same state, so that what
    comes is the same.

    Args:
        remote: The body.
        turn: In which they are sent.
        position: Where this half is; each step advances it.
    """

    def __init__(self, remote: Remote, turn: Turn, position: Position):
        self._opened: OpenStep | None = None
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
        """A step whose gradients the server computes at one go."""
        step = self._begun(prepared, learning_rate, iterations)
        return self._ask(step, Request(_of(step), tensors, _last(prepared), prepared.outputs))

    def forward(
        self,
        prepared: Prepared,
        tensors: Sequence[np.ndarray],
        learning_rate: float | None,
        iterations: int | None = None,
    ) -> list[np.ndarray]:
        """The first half of a label-free step."""
        step = self._begun(prepared, learning_rate, iterations)
        return self._ask(step, Request(_of(step), tensors, "forwarded", prepared.forwarded))

    def backward(self, gradients: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Its second half."""
        step = self._open("A step's gradients come after its forward pass.")
        header = pb.Header(backward=pb.Backward(step=step.header.step))
        return self._ask(step, Request(header, gradients, _last(step.prepared), step.prepared.backward))

    def settle(self, measures: Sequence[np.ndarray]) -> None:
        """The end of a step whose optimizer looks at all gradients."""
        step = self._open("What was measured of a step's gradients comes after these.")
        header = pb.Header(settle=pb.Settle(step=step.header.step))
        self._ask(step, Request(header, measures, "stepped", ()))

    def _begun(self, prepared: Prepared, learning_rate: float | None, iterations: int | None) -> OpenStep:
        header = pb.Step(
            signature=prepared.signature,
            version=self._position.version,
            learning_rate=learning_rate,
            step=secrets.randbits(64) or 1,
            iterations=iterations,
        )
        self._opened = OpenStep(prepared, header)
        return self._opened

    def _open(self, wrong: str) -> OpenStep:
        if self._opened is None:
            raise ProtocolError(wrong)
        return self._opened

    def _ask(self, step: OpenStep, request: Request) -> list[np.ndarray]:
        """Says what comes next in a step; after the reply that counts it, nothing does."""
        step.requests.append(request)
        try:
            message = self._remote.persistently(lambda: self._say(step))
            values = step.prepared.check(message.tensors, self._remote.target, request.wanted)
            if request.reply == "stepped":
                self._position.advance(message.header.stepped.version)
        except BaseException:
            self._opened = None
            raise
        if request.reply == "stepped":
            self._opened = None
        return values

    def _say(self, step: OpenStep) -> Message:
        """The newest request of a step, and on a new stream all of them."""
        with self._turn.entered() as stream:
            if stream is step.asked_in:
                return self._send(stream, step.requests[-1])
            self._remote.prepare_again(step.prepared)
            step.header.lineage = self._position.lineage
            step.requests[0].header.step.CopyFrom(step.header)
            *before, newest = step.requests
            # Only the reply to the last request of all may have been lost, and the step have been applied.
            applied = ("stepped",) if newest.reply == "stepped" else ()
            for each in before:
                message = self._send(stream, each, *applied)
                if message.header.WhichOneof("content") != each.reply:
                    return message
            message = self._send(stream, newest)
            step.asked_in = stream
            return message

    def _send(self, stream: Conversation, request: Request, *others: str) -> Message:
        # A copy, since the conversation writes into it what is sent, and it may be sent again.
        header = pb.Header()
        header.CopyFrom(request.header)
        replies = (request.reply, *others)
        return stream.ask(header, request.tensors, replies, self._remote.timeouts.step_seconds)


def _of(step: OpenStep) -> pb.Header:
    return pb.Header(step=step.header)


def _last(prepared: Prepared) -> str:
    """How the server answers once it has all gradients."""
    return "measured" if prepared.measures else "stepped"
