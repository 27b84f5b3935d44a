"""Changes happen one after the other, apart from inference, and a failed one is remembered."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from keras_split.errors import ConnectionLost, DeadlineExceeded, RemoteFailure
from keras_split.server.engine import Engine
from keras_split.server.lock import ReadersWriter
from support.gate import until

SECONDS = 100


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.stop()


@pytest.fixture
def threads():
    with ThreadPoolExecutor() as threads:
        yield threads


def wait(event):
    assert event.wait(SECONDS), "It did not happen in time."


class Held:
    """Work that goes on for as long as a test wants."""

    def __init__(self):
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self):
        self.begun.set()
        wait(self.may_end)
        return "done"


def test_changes_run_in_their_order_on_one_thread(engine, threads):
    seen, held = [], Held()
    first = threads.submit(engine.change, held)
    wait(held.begun)
    names = [engine._thread.submit(lambda at=at: seen.append(at)) for at in range(5)]
    assert not any(each.done() for each in names)
    held.may_end.set()
    assert first.result(SECONDS) == "done"
    for each in names:
        each.result(SECONDS)
    assert seen == [0, 1, 2, 3, 4]


def test_an_answer_is_there_before_the_rest_of_the_work(engine):
    rest = Held()

    def work(dialogue):
        dialogue.answer("early")
        rest()

    dialogue = engine.begin(work)
    assert dialogue.listen() == (True, "early")
    dialogue.go_on()
    wait(rest.begun)
    rest.may_end.set()
    assert engine.change(lambda: "next") == "next"


def test_the_rest_begins_even_if_the_answer_never_leaves(engine):
    rest = Held()
    rest.may_end.set()

    def work(dialogue):
        dialogue.answer("early")
        rest()

    # A client that died takes no answer, and `go_on` is not called.
    engine.begin(work).listen()
    wait(rest.begun)


def test_inference_waits_for_the_whole_of_a_change(engine, threads):
    rest = Held()

    def work(dialogue):
        dialogue.answer("early")
        rest()

    dialogue = engine.begin(work)
    dialogue.listen()
    dialogue.go_on()
    wait(rest.begun)
    asked = threads.submit(engine.infer, rest.may_end.is_set)
    # Nobody who reads comes in before the rest has ended.
    assert engine._lock._entrance.locked()
    rest.may_end.set()
    assert asked.result(SECONDS)


def test_inferences_run_beside_each_other(engine, threads):
    barrier = threading.Barrier(3)
    asked = [threads.submit(engine.infer, lambda: barrier.wait(SECONDS)) for _ in range(3)]
    assert sorted(each.result(SECONDS) for each in asked) == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError("a"), KeyboardInterrupt(), StopIteration()])
def test_a_change_that_fails_tells_its_caller_and_hurts_no_other(engine, error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        engine.change(fail)
    engine.check()
    assert engine.change(lambda: "next") == "next"


def test_a_rest_that_fails_is_remembered_until_a_whole_state_is_back(engine):
    def work(dialogue):
        dialogue.answer("early")
        raise ValueError("the optimizer broke")

    assert engine.begin(work).listen() == (True, "early")
    engine.change(lambda: None)
    with pytest.raises(RemoteFailure, match=r"inside an update \(ValueError\).*Restore both halves"):
        engine.check()
    engine.heal()
    engine.check()


def test_no_inference_is_computed_on_a_state_that_nobody_knows(engine):
    def work(dialogue):
        dialogue.answer("early")
        raise ValueError("the optimizer broke")

    engine.begin(work).listen()
    engine.change(lambda: None)
    with pytest.raises(RemoteFailure, match="its state is unknown"):
        engine.infer(lambda: "a guess")
    engine.heal()
    assert engine.infer(lambda: "known") == "known"


def test_the_log_says_where_a_rest_failed(engine, caplog):
    def work(dialogue):
        dialogue.answer("early")
        raise ValueError("the optimizer broke")

    engine.begin(work).listen()
    engine.change(lambda: None)
    assert "the optimizer broke" in caplog.text
    assert "in work" in caplog.text


def test_work_may_ask_before_it_answers(engine):
    dialogue = engine.begin(lambda dialogue: dialogue.answer(dialogue.ask("question") + 1))
    assert dialogue.listen() == (False, "question")
    dialogue.reply(41)
    assert dialogue.listen() == (True, 42)


def test_an_exception_in_place_of_a_reply_ends_the_work(engine):
    dialogue = engine.begin(lambda dialogue: dialogue.answer(dialogue.ask("question")))
    dialogue.listen()
    dialogue.reply(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost, match="gone"):
        dialogue.listen()
    engine.check()


def test_a_question_that_nobody_replies_to_does_not_hold_the_model_for_ever():
    engine = Engine(gradient_seconds=0.05)
    dialogue = engine.begin(lambda dialogue: dialogue.answer(dialogue.ask("question")))
    dialogue.listen()
    with pytest.raises(DeadlineExceeded, match=r"within 0.05 s.*Nothing was applied.*--gradient-seconds"):
        dialogue.listen()
    assert engine.infer(lambda: "free") == "free"
    engine.stop()


def test_stopping_finishes_what_was_asked_for():
    engine, done = Engine(), []

    def work(dialogue):
        dialogue.answer(None)
        done.append("rest")

    engine.begin(work).listen()
    engine.stop()
    assert done == ["rest"]
    with pytest.raises(RuntimeError):
        engine.change(lambda: None)


def test_a_waiting_writer_lets_no_further_reader_pass(threads):
    lock, reading = ReadersWriter(), Held()
    order = []

    def read(name, work=lambda: None):
        with lock.read():
            work()
            order.append(name)

    def write():
        waiting.set()
        with lock.write():
            order.append("writer")

    waiting = threading.Event()
    first = threads.submit(read, "first", reading)
    wait(reading.begun)
    writer = threads.submit(write)
    wait(waiting)
    until(lock._entrance.locked)
    second = threads.submit(read, "second")
    reading.may_end.set()
    for each in (first, writer, second):
        each.result(SECONDS)
    assert order == ["first", "writer", "second"]


def test_a_lock_is_free_again_after_an_error():
    lock = ReadersWriter()
    for enter in (lock.read, lock.write, lock.read, lock.write):
        with pytest.raises(ZeroDivisionError), enter():
            raise ZeroDivisionError
