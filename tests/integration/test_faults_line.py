"""A broken line costs time and nothing else: the step is sent again, and applied once."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest

from keras_split.errors import ConnectionLost, DeadlineExceeded, VersionMismatch
from keras_split.transport import options
from support import bodies
from support.gate import Meanwhile, until
from support.halves import (
    QUICK,
    AtBatch,
    Witness,
    assert_equal_halves,
    hurry,
    train,
    trained_whole,
)

BROKEN_STEP = 2
# The tensors of a step: the frontier and the labels.
STEP_BYTES = bodies.BATCH * (16 * 4 + 8)


@pytest.fixture
def split(lines_client, start):
    return start.load(lines_client)


@pytest.fixture
def proxy(line, split):
    """A line of which nothing is left that an earlier test has done to it."""
    del split  # It has a connection already.
    line.mend()
    yield line
    line.mend()


# A step takes some 700 bytes up and 850 down at this cut, TLS included.
@pytest.mark.parametrize(
    ("direction", "count"),
    [("up", 1), ("up", 300), ("down", 1), ("down", 600)],
    ids=["request not sent", "request in pieces", "request arrived", "reply in pieces"],
)
def test_a_step_cut_anywhere_is_applied_once(split, proxy, shared_server, observer, direction, count):
    before = observer.status().steps
    train(split, callbacks=[AtBatch(BROKEN_STEP, lambda: proxy.after(direction, count, proxy.cut))])
    assert proxy.connections == 1
    assert observer.status().steps - before == bodies.BATCHES
    assert_equal_halves(trained_whole(), split, shared_server)


def test_many_cuts_change_nothing(split, proxy, shared_server):
    cuts = [
        AtBatch(batch, lambda at=batch: proxy.after("up" if at % 2 else "down", 97 * at, proxy.cut))
        for batch in range(1, 8)
    ]
    train(split, epochs=2, callbacks=cuts)
    assert proxy.connections == len(cuts)
    assert_equal_halves(trained_whole(10), split, shared_server)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_cut_inference_is_asked_again(split, proxy, direction):
    x, y = bodies.data()
    expected = split.predict(x, verbose=0), split.evaluate(x, y, verbose=0)
    proxy.after(direction, 300, proxy.cut)
    found = split.predict(x, verbose=0)
    proxy.after(direction, 300, proxy.cut)
    assert split.evaluate(x, y, verbose=0) == expected[1]
    np.testing.assert_array_equal(found, expected[0])
    assert proxy.connections == 2


def test_a_cut_snapshot_is_asked_for_again_within_the_turn(split, proxy, shared_server, observer, tmp_path):
    class Saving(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            proxy.after("up", 10, proxy.cut)
            self.model.save_weights(tmp_path / "half.weights.h5")
            turns.append(observer.status().trainer)

    turns = []
    train(split, epochs=2, callbacks=[Saving()])
    assert turns[0] == turns[1] != ""
    assert_equal_halves(trained_whole(10), split, shared_server)
    split.load_weights(tmp_path / "half.weights.h5")
    assert_equal_halves(trained_whole(10), split, shared_server)


def test_a_slow_line_changes_nothing(split, proxy, shared_server):
    proxy.delay_seconds = 0.02
    train(split)
    assert_equal_halves(trained_whole(), split, shared_server)


def test_a_step_sent_again_while_it_is_computed_is_applied_once(split, proxy, shared_server, observer):
    before = observer.status().steps
    # However long the step has taken already, there is time for one attempt.
    hurry(split, reconnect_seconds=0)

    def cut_while_computing(number):
        shared_server.gate.until_reached(number)
        received = observer.status().bytes_received
        proxy.cut()
        # A status request has no bytes of its own.
        until(lambda: observer.status().bytes_received > received + STEP_BYTES)

    with Meanwhile() as meanwhile:
        hold = partial(shared_server.gate.while_held, meanwhile, cut_while_computing)
        train(split, callbacks=[AtBatch(BROKEN_STEP, hold)])
    hurry(split, reconnect_seconds=QUICK.reconnect_seconds)
    assert proxy.connections == 1
    assert observer.status().steps - before == bodies.BATCHES
    assert_equal_halves(trained_whole(), split, shared_server)


def test_a_black_hole_is_noticed_by_the_deadline(connected, proxy, shared_server):
    split = connected(proxy.address)
    witness = Witness(BROKEN_STEP, lambda: (hurry(split, step_seconds=1), proxy.swallow()))
    with pytest.raises(DeadlineExceeded, match="did not answer within 1 s.*Timeouts"):
        train(split, callbacks=[witness])
    witness.assert_unchanged(split)
    proxy.cut()
    again = connected()
    train(again)
    assert_equal_halves(trained_whole(), again, shared_server)


def test_a_black_hole_is_noticed_by_pings(connected, proxy, monkeypatch):
    monkeypatch.setattr(options, "_KEEPALIVE_MS", 300)
    # The steps before the hole take less, also where others use the machine.
    monkeypatch.setattr(options, "_PING_TIMEOUT_MS", 3000)
    split = connected(proxy.address)
    # No deadline of a step ends this test: without pings it would last for ever.
    without_pings = {"step_seconds": 1e6, "join_seconds": 1}
    witness = Witness(BROKEN_STEP, lambda: (hurry(split, **without_pings), proxy.swallow()))
    with pytest.raises((ConnectionLost, DeadlineExceeded)):
        train(split, callbacks=[witness])
    witness.assert_unchanged(split)
    proxy.cut()


def test_a_line_that_stays_broken_ends_the_training(split, proxy):
    witness = Witness(BROKEN_STEP, lambda: proxy.after("down", 600, proxy.refuse))
    with pytest.raises(ConnectionLost, match="No connection to .*Check the address"):
        train(split, callbacks=[witness])
    witness.assert_unchanged(split)
    # The lost step was applied there, and this half must not go on without it.
    proxy.refuses = False
    with pytest.raises(VersionMismatch, match="seen 2 updates and the server 3.*Restore both"):
        train(split)
    witness.assert_unchanged(split)
