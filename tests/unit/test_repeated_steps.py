"""A step counts once, however often and whenever it is sent."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from keras_split.errors import RemoteFailure
from keras_split.server.served import Served
from keras_split.server.training import Training
from support.served import begin, prepared, serve, step


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return serve(tmp_path)


def test_a_step_sent_again_while_it_is_computed_counts_once(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = prepared(served)
    signature, traced = served.traces.step(name)
    started, go_on = threading.Event(), threading.Event()

    def slowly(values, caller):
        started.set()
        go_on.wait(30)
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
    assert started.wait(30)
    again = ask(begin(served, broken._begun().begun.turn))
    again.join(0.2)  # Long enough to be decided about, if that did not wait for the first.
    go_on.set()
    first.join(30)
    again.join(30)
    served.engine.stop()
    assert [each[0].stepped.version for each in replies] == [1, 1]
    np.testing.assert_array_equal(replies[0][1][0], replies[1][1][0])
    assert int(served.segment.optimizer.iterations) == 1


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
