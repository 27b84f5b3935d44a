"""A step counts once, however often and whenever it is sent."""

from __future__ import annotations

import threading
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message
from keras_split.errors import ProtocolError, RemoteFailure, VersionMismatch
from keras_split.server.served import Served
from keras_split.server.training import Training
from keras_split.state import read
from support.equality import assert_same_arrays
from support.served import begin, prepared, serve, step

SECONDS = 100


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return serve(tmp_path)


def announced(served: Served, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Set when a step is decided about from here on, and when one has its place behind those before it."""
    decided, queued = threading.Event(), threading.Event()
    decide, begin_step = served.turns.step, served.engine.begin

    def step(*arguments):
        decided.set()
        return decide(*arguments)

    def begin(work):
        dialogue = begin_step(work)
        queued.set()
        return dialogue

    monkeypatch.setattr(served.turns, "step", step)
    monkeypatch.setattr(served.engine, "begin", begin)
    return decided, queued


def test_a_step_sent_again_while_it_is_computed_counts_once(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = prepared(served)
    signature, traced = served.traces.step(name)
    started, go_on = threading.Event(), threading.Event()

    def slowly(values, caller):
        started.set()
        go_on.wait(SECONDS)
        traced(values, caller)

    slowly.losses = []
    monkeypatch.setattr(served.traces, "step", lambda _: (signature, slowly))
    replies: list = []

    def ask(turn: Training) -> threading.Thread:
        message = step(served, name)
        thread = threading.Thread(target=lambda: replies.append(turn._answer(message)))
        thread.start()
        return thread

    broken = begin(served)
    first = ask(broken)
    assert started.wait(SECONDS)
    decided, queued = announced(served, monkeypatch)
    again = ask(begin(served, broken._begun().begun.turn))
    assert queued.wait(SECONDS)
    # What to do about it is decided when the first is over, which may change the answer.
    assert not decided.is_set()
    go_on.set()
    first.join(SECONDS)
    again.join(SECONDS)
    served.engine.stop()
    assert [each[0].stepped.version for each in replies] == [1, 1]
    np.testing.assert_array_equal(replies[0][1][0], replies[1][1][0])
    assert int(served.segment.optimizer.iterations) == 1


def settle(number: int = 77) -> Message:
    """What a client has measured of one gradient."""
    tensors = [np.array([0], "int32"), np.array([4.0])]
    return Message(pb.Header(settle=pb.Settle(step=number)), tensors)


def test_a_step_that_waits_for_the_clients_norms_counts_once_they_have_come(tmp_path: Path) -> None:
    served = serve(tmp_path, optimizer=keras.optimizers.SGD(global_clipnorm=0.1))
    name = prepared(served)
    before = read(served.variables())
    broken = begin(served)
    first = broken._answer(step(served, name))
    again = begin(served, broken._begun().begun.turn)
    second = again._answer(step(served, name))
    assert [each[0].WhichOneof("content") for each in (first, second)] == ["measured", "measured"]
    for one, other in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert_same_arrays(before, read(served.variables()), "server")
    with pytest.raises(ProtocolError, match="no place here"):
        again._answer(step(served, name))
    header, tensors, then = again._answer(settle())
    then()
    assert (header.stepped.version, tensors) == (1, [])
    # Had this reply been lost, the client would say all of the step again.
    header, tensors, _ = again._answer(step(served, name))
    assert (header.stepped.version, tensors) == (1, [])
    served.engine.stop()
    assert int(served.segment.optimizer.iterations) == 1


WRONG = {
    "of another step": settle(78),
    "none": Message(settle().header, []),
    "of other types": Message(settle().header, [np.array([0.0]), np.array([4.0])]),
    "fewer norms than places": Message(settle().header, [np.array([0, 1], "int32"), np.array([4.0])]),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_norms_that_do_not_fit_are_refused(tmp_path: Path, wrong: Message) -> None:
    served = serve(tmp_path, optimizer=keras.optimizers.SGD(global_clipnorm=0.1))
    turn = begin(served)
    turn._answer(step(served, prepared(served)))
    with pytest.raises(ProtocolError, match="another step|as many norms as places"):
        turn._answer(wrong)
    turn._open.abandon()
    served.engine.stop()
    assert int(served.segment.optimizer.iterations) == 0


def test_averages_are_swapped_once_and_steps_from_before_are_refused(tmp_path: Path) -> None:
    served = serve(tmp_path, optimizer=keras.optimizers.SGD(use_ema=True))
    name = prepared(served)
    late = step(served, name, number=78)
    turn = begin(served)
    turn._answer(step(served, name))[2]()
    swap = Message(pb.Header(swap=pb.Swap(number=5)), [])
    before = read(served.variables())
    begun = turn._answer(swap)[0].begun
    after = read(served.variables())
    assert [each for each in before if (before[each] != after[each]).any()]
    # As a client would say it again whose connection broke.
    assert begin(served, begun.turn)._answer(swap)[0].begun == begun
    assert_same_arrays(after, read(served.variables()), "server")
    assert begun.lineage != late.header.step.lineage
    with pytest.raises(VersionMismatch):
        begin(served, begun.turn)._answer(late)
    served.engine.stop()


def test_no_step_is_computed_on_an_update_that_failed_half_way(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = prepared(served)
    signature, _ = served.traces.step(name)

    def answer_and_fail(values, caller):
        caller.answer(values)
        raise MemoryError

    monkeypatch.setattr(served.traces, "step", lambda _: (signature, answer_and_fail))
    turn = begin(served)
    turn._answer(step(served, name))[2]()
    with pytest.raises(RemoteFailure, match="Restore both halves"):
        turn._answer(step(served, name, version=1))
    served.engine.stop()
