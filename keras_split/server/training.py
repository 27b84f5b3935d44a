"""One client's turn: the conversation on a training stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar, cast

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message, pack, unpack
from keras_split.errors import ProtocolError, Refused, TopologyError
from keras_split.segment import TracedStep
from keras_split.server.dialogue import Dialogue
from keras_split.server.inspection import inspect
from keras_split.server.observers import Observer
from keras_split.server.observers.turn import TurnSeen
from keras_split.server.open_step import OpenStep
from keras_split.server.preparation import check_values
from keras_split.server.served import Served
from keras_split.server.stepping import compute, compute_finite
from keras_split.state import Ticket
from keras_split.turns import Verdict

# What to say, and what to do once it is said.
Reply = tuple[pb.Header, list[np.ndarray], Callable[[], None]]
Result = TypeVar("Result")
_SHOWN = 6


class Training:
    """Answers the requests of one turn.

    Args:
        served: The body that is trained.
        message: The client's first request, a `begin`.
        member: Name of the data owner, for a body that several train.
        observer: Who looks on.
    """

    def __init__(self, served: Served, message: Message, member: str = "", observer: Observer | None = None):
        begin = message.header.begin
        if begin.topology_digest != served.digest:
            raise TopologyError("The client's topology is not the one that this server serves.")
        self._served = served
        self._first = message.header.request
        self._open: OpenStep | None = None
        self._member = member
        # A data owner that has the turn may have been started again while its old connection still stands.
        self._granted = served.run.turn_of(member) if served.run else 0
        self._turn = served.turns.begin(
            begin.client, begin.turn, time.monotonic(), takes_over=served.run is not None
        )
        # Of a connection that broke, whose end may not have been seen here yet. Its thread may end the
        # step at this moment, so that it is looked up once.
        opened = served.open_step
        if opened is not None:
            opened.abandon()
        served.counters.turns += not begin.turn
        # All but its beginning is the client's secret.
        party, number = member or begin.client[:_SHOWN], self._granted or self._turn.number
        self._seen = TurnSeen(observer or Observer(), party, number, served.turns.version)
        if served.run and not begin.turn:
            self._take_back()
        self._seen.began(served.turns.version, resumed=bool(begin.turn))

    def converse(self, frames: Iterator[pb.Frame]) -> Iterator[pb.Frame]:
        """Yields the replies' frames until the client has no more requests."""
        try:
            begun = self._begun()
            begun.request = self._first
            yield from pack(begun)
            while message := unpack(frames, self._served.options.limits):
                header, tensors, then = self._answer(message)
                header.request = message.header.request
                yield from pack(header, tensors)
                # gRPC asks for the next frame when it has taken the last one.
                then()
        finally:
            if self._open is not None:
                self._open.abandon()
                self._close_step()
            self._served.turns.disconnect(self._turn)
            self._seen.ended(self._served.turns.version)

    def _take_back(self) -> None:
        turns = self._served.turns
        before = (turns.lineage, turns.version)
        self._served.engine.change(self._served.take_back)
        if turns.lineage != before[0]:
            self._seen.rolled_back(before[1], turns.version)

    def _begun(self) -> pb.Header:
        turns = self._served.turns
        begun = pb.Begun(turn=self._turn.number, version=turns.version, lineage=turns.lineage)
        return pb.Header(begun=begun)

    def _stepped(self) -> pb.Header:
        return pb.Header(stepped=pb.Stepped(version=self._served.turns.version))

    def _answer(self, message: Message) -> Reply:
        kind = message.header.WhichOneof("content")
        answers: dict[str, Callable[[Message], Reply]] = {
            "step": self._step,
            "backward": self._go_on,
            "settle": self._go_on,
            "snapshot": self._snapshot,
            "restore": self._restore,
            "finalize": self._finalize,
            "swap": self._swap,
            "inspect": self._inspect,
            "reset_states": self._reset_states,
            "commit": self._commit,
        }
        if kind not in answers or (self._open is not None and kind != self._open.awaited):
            raise ProtocolError(f"A {kind} request has no place here in a turn.")
        return answers[kind](message)

    def _step(self, message: Message) -> Reply:
        self._open = OpenStep(self._served.engine.begin(partial(self._compute, message)), message)
        self._served.open_step = self._open
        return self._heard()

    def _go_on(self, message: Message) -> Reply:
        if self._open is None:
            raise ProtocolError("Gradients came without a step that waits for them.")
        self._seen.crossed(received=message.tensors)
        signature, traced = self._served.traces.step(self._open.signature)
        self._open.give(message, traced.outputs, signature.graded)
        return self._heard()

    def _heard(self) -> Reply:
        """The step's question, or its answer."""
        opened = cast(OpenStep, self._open)
        if opened.listen():
            self._seen.crossed(sent=opened.said)
            if opened.question == "measured":
                return pb.Header(measured=pb.Measured()), opened.said, _nothing
            return pb.Header(forwarded=pb.Forwarded()), opened.said, _nothing
        self._close_step()
        return self._stepped(), opened.reply, opened.go_on

    def _close_step(self) -> None:
        """Forgets the step with its tensors, but not one that a later connection has opened."""
        if self._served.open_step is self._open:
            self._served.open_step = None
        self._open = None

    def _compute(self, message: Message, caller: Dialogue) -> None:
        served, step = self._served, message.header.step
        # Here, where nothing else changes the state: a client whose connection broke may send a
        # step again while it is being computed, and the update before this one may have failed.
        served.check()
        self._renew()
        state = (step.lineage, step.version)
        verdict = served.turns.step(self._turn.number, step.step, state, time.monotonic())
        if verdict is Verdict.REPEAT:
            caller.answer(served.last_reply)
            return
        signature, traced = served.traces.step(step.signature)
        check_values(message.tensors, signature)
        if step.HasField("learning_rate"):
            served.segment.set_learning_rate(step.learning_rate)
        if step.HasField("iterations"):
            served.follow_count(step.iterations)
        self._apply(traced, message, caller)

    def _apply(self, traced: TracedStep, message: Message, caller: Dialogue) -> None:
        since = time.monotonic()
        compute_it = compute_finite if self._served.options.nan == "refuse" else compute
        counted = _Counted(self._served, message, caller, self._seen)
        compute_it(traced, message.tensors, self._served.segment, counted)
        # In label-free steps these are the body's own terms alone, which are no loss.
        losses = [] if self._served.topology["second_cut"] else traced.losses
        self._seen.step(self._served.turns.version, since, losses)

    def _snapshot(self, message: Message) -> Reply:
        del message
        ticket = self._in_turn(self._served.snapshot)
        self._seen.kept("snapshot", ticket.version)
        return pb.Header(ticket=pb.Ticket(version=ticket.version, nonce=ticket.nonce)), [], _nothing

    def _restore(self, message: Message) -> Reply:
        restore = message.header.restore
        ticket = Ticket(restore.ticket.version, restore.ticket.nonce)
        served = self._served
        self._in_turn(lambda: served.restore(ticket, restore.weights_only))
        self._seen.kept("restored", ticket.version)
        return self._begun(), [], _nothing

    def _finalize(self, message: Message) -> Reply:
        del message
        self._in_turn(self._served.segment.finalize)
        return self._begun(), [], _nothing

    def _reset_states(self, message: Message) -> Reply:
        layer = message.header.reset_states.layer
        self._in_turn(lambda: self._served.reset_states(layer))
        return self._begun(), [], _nothing

    def _swap(self, message: Message) -> Reply:
        swap = message.header.swap
        self._in_turn(lambda: self._served.swap_averages(swap.number, keeps=swap.keeps))
        return self._begun(), [], _nothing

    def _inspect(self, message: Message) -> Reply:
        served = self._served
        if not served.owned:
            raise Refused("Only the owner of a hosted body may read its variables.")
        wanted = message.header.inspect
        header, tensors = self._in_turn(
            lambda: inspect(served.variables(model_only=wanted.model_only), wanted.digests_only)
        )
        return header, tensors, _nothing

    def _commit(self, message: Message) -> Reply:
        commit = message.header.commit
        served = self._served
        before = served.run.rota.record.number if served.run else -1
        number = self._in_turn(lambda: served.commit(self._member, self._granted, commit))
        if number > before:  # Otherwise the reply was lost, and the commit is there already.
            self._seen.committed(commit, number, served.turns.version)
        return pb.Header(committed=pb.Committed(number=number)), [], _nothing

    def _in_turn(self, work: Callable[[], Result]) -> Result:
        """Runs alone, as steps do, if this client still has the turn by then."""

        def renewed() -> Result:
            # First, since it tells a data owner that came too late what it can go on from.
            self._renew()
            self._served.turns.renew(self._turn.number, time.monotonic())
            return work()

        return self._served.engine.change(renewed)

    def _renew(self) -> None:
        if self._served.run is not None:
            self._served.run.renew(self._member, self._granted)


class _Counted:
    """Counts a step at the moment of its reply, and remembers the reply.

    Args:
        served: Whose step it is.
        message: The request.
        caller: Gets the reply then.
        seen: Who looks on.
    """

    def __init__(self, served: Served, message: Message, caller: Dialogue, seen: TurnSeen):
        self._served = served
        self._message = message
        self._caller = caller
        self._seen = seen

    def ask(self, question: str, tensors: list[np.ndarray]) -> list[np.ndarray]:
        found: list[np.ndarray] = self._caller.ask((question, tensors))
        return found

    def answer(self, reply: list[np.ndarray]) -> None:
        step, tensors = self._message.header.step, self._message.tensors
        self._served.turns.applied(step.step)
        self._served.counters.steps += 1
        self._seen.crossed(received=tensors, sent=reply)
        self._seen.applied(step.signature, len(tensors[0]))
        self._served.last_reply = reply
        self._caller.answer(reply)


def _nothing() -> None:
    """For replies that leave nothing to do."""
