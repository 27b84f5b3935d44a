"""One client's turn: the conversation on a training stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message, pack, unpack
from keras_split.errors import NotFinite, ProtocolError, Refused, TopologyError
from keras_split.segment import TracedStep
from keras_split.server.inspection import inspect
from keras_split.server.preparation import check_values
from keras_split.server.served import Served
from keras_split.state import Ticket, read, write
from keras_split.turns import Verdict

Reply = tuple[pb.Header, list[np.ndarray]]


class Training:
    """Answers the requests of one turn.

    Args:
        served: The body that is trained.
        message: The client's first request, a `begin`.
    """

    def __init__(self, served: Served, message: Message):
        begin = message.header.begin
        if begin.topology_digest != served.digest:
            raise TopologyError("The client's topology is not the one that this server serves.")
        self._served = served
        self._first = message.header.request
        self._turn = served.turns.begin(begin.client, begin.turn, time.monotonic()).number
        served.counters.turns += not begin.turn

    def converse(self, frames: Iterator[pb.Frame]) -> Iterator[pb.Frame]:
        """Yields the replies' frames until the client has no more requests."""
        try:
            begun = self._begun()
            begun.request = self._first
            yield from pack(begun)
            while message := unpack(frames, self._served.options.limits):
                header, tensors = self._answer(message)
                header.request = message.header.request
                yield from pack(header, tensors)
        finally:
            self._served.turns.disconnect(self._turn)

    def _begun(self) -> pb.Header:
        turns = self._served.turns
        begun = pb.Begun(turn=self._turn, version=turns.version, lineage=turns.lineage)
        return pb.Header(begun=begun)

    def _answer(self, message: Message) -> Reply:
        kind = message.header.WhichOneof("content")
        answers: dict[str, Callable[[Message], Reply]] = {
            "step": self._step,
            "snapshot": self._snapshot,
            "restore": self._restore,
            "finalize": self._finalize,
            "inspect": self._inspect,
        }
        if kind not in answers:
            raise ProtocolError(f"A {kind} request has no place in a turn.")
        return answers[kind](message)

    def _step(self, message: Message) -> Reply:
        served, step = self._served, message.header.step
        served.check()
        state = (step.lineage, step.version)
        verdict = served.turns.step(self._turn, step.step, state, time.monotonic())
        if verdict is Verdict.REPEAT:
            return pb.Header(stepped=pb.Stepped(version=served.turns.version)), served.last_reply
        signature, traced = served.step_for(step.signature)
        check_values(message.tensors, signature)
        reply = served.engine.change_in_two(partial(self._compute, traced, message))
        return pb.Header(stepped=pb.Stepped(version=served.turns.version)), reply

    def _compute(
        self, traced: TracedStep, message: Message
    ) -> tuple[list[np.ndarray], Callable[[], None]]:
        """The reply, and the update that may run while the reply travels."""
        served, step = self._served, message.header.step
        undo = _undo(served) if served.options.nan == "refuse" else None
        reply, gradients = traced.forward_backward(message.tensors)
        if undo is not None and not served.segment.is_finite(reply, gradients):
            undo()
            raise NotFinite(
                "A gradient of this step is not finite (NaN or infinity), and the server refuses "
                "such steps (`--nan refuse`). Nothing was applied. Lower the learning rate, clip "
                "gradients, or look at the batch."
            )
        if step.HasField("learning_rate"):
            served.segment.set_learning_rate(step.learning_rate)
        served.turns.applied(step.step)
        served.counters.steps += 1
        served.last_reply = reply
        return reply, partial(traced.update, gradients)

    def _snapshot(self, message: Message) -> Reply:
        del message
        ticket = self._served.engine.change(self._served.snapshot)
        return pb.Header(ticket=pb.Ticket(version=ticket.version, nonce=ticket.nonce)), []

    def _restore(self, message: Message) -> Reply:
        restore = message.header.restore
        ticket = Ticket(restore.ticket.version, restore.ticket.nonce)
        served = self._served
        served.engine.change(lambda: served.restore(ticket, restore.weights_only))
        return self._begun(), []

    def _finalize(self, message: Message) -> Reply:
        del message
        self._served.engine.change(self._served.segment.finalize)
        return self._begun(), []

    def _inspect(self, message: Message) -> Reply:
        served = self._served
        if not served.owned:
            raise Refused("Only the owner of a hosted body may read its variables.")
        digests_only = message.header.inspect.digests_only
        return served.engine.change(lambda: inspect(served.variables(), digests_only))


def _undo(served: Served) -> Callable[[], None]:
    """Takes back what a forward pass changes by itself: moving statistics and seeds."""
    model = served.segment.model
    changing: dict[str, Any] = {
        str(at): variable for at, variable in enumerate(model.variables) if not variable.trainable
    }
    before = read(changing)
    return lambda: write(changing, before)
