"""A step whose optimizer looks at all gradients is whole or has not been, on a server as well."""

from __future__ import annotations

import contextlib

import keras
import pytest

from keras_split.errors import ConnectionLost
from keras_split.session import Session
from support import bodies
from support.halves import (
    QUICK,
    AtBatch,
    Start,
    Witness,
    assert_equal_halves,
    batches_of,
    train,
    trained_whole,
    whole_model,
)
from support.processes import Server

SECOND_CUT = "high_norm"
BAD = 2


@pytest.fixture(scope="module")
def server(pki, tmp_path_factory):
    """Label-free, so that a step has three requests; a machine may stand still in the midst of one."""
    options = ["--second-cut", SECOND_CUT, "--seed", str(bodies.SEED), "--gradient-seconds", "600"]
    folder = tmp_path_factory.mktemp("settled")
    with Server(pki, folder, "support.bodies:careful", bodies.CUT, *options) as server:
        yield server


@pytest.fixture(scope="module")
def beginning(server, tmp_path_factory):
    return Start(server, tmp_path_factory.mktemp("settled_start") / "start.weights.h5")


@pytest.fixture
def client(lines_client, beginning, line):
    line.mend()
    yield beginning.load(lines_client)
    line.mend()


def assert_equal(split, server, whole=None):
    assert_equal_halves(whole or trained_whole(build=bodies.careful), split, server, bodies.careful)


def test_a_client_of_a_server_trains_as_the_whole_model(client, server):
    whole = whole_model(bodies.careful)
    expected, found = (
        train(model, validation_data=batches_of(2), epochs=2).history for model in (whole, client)
    )
    assert {name: found[name] for name in expected} == expected
    assert whole.optimizer.dynamic_scale > whole.optimizer.initial_scale
    assert_equal(client, server, whole)


def test_a_half_from_a_file_goes_on_with_the_same_optimizer(client, server, tmp_path):
    train(client, 2)
    client.save(tmp_path / "half.keras")
    half = keras.models.load_model(tmp_path / "half.keras")
    with contextlib.closing(half):
        half.connect(server.address, server.credentials(), timeouts=QUICK)
        x, y = bodies.data()
        rest = slice(2 * bodies.BATCH, None)
        half.fit(x[rest], y[rest], batch_size=bodies.BATCH, shuffle=False, verbose=0)
        assert_equal(half, server)


# A step takes some 650 bytes up and down for each of its halves, and 170 up and 70 down to settle it.
@pytest.mark.parametrize(
    ("direction", "count"),
    [("up", 700), ("up", 1350), ("down", 1200), ("down", 1300)],
)
def test_a_step_cut_anywhere_is_applied_once(client, line, server, direction, count):
    before = server.status().steps
    train(client, callbacks=[AtBatch(BAD, lambda: line.after(direction, count, line.cut))])
    assert line.connections == 1
    assert server.status().steps - before == bodies.BATCHES
    assert_equal(client, server)


def test_a_client_that_goes_away_before_it_settles_leaves_no_trace(client, server, monkeypatch):
    def settle(session, measures):
        if session.version == BAD:
            raise ConnectionLost("The program ends here.")
        honest(session, measures)

    honest = Session.settle
    monkeypatch.setattr(Session, "settle", settle)
    witness = Witness(BAD, lambda: None)
    with pytest.raises(ConnectionLost, match="ends here"):
        train(client, callbacks=[witness])
    witness.assert_unchanged(client)
    monkeypatch.undo()
    x, y = bodies.data()
    rest = slice(BAD * bodies.BATCH, None)
    client.fit(x[rest], y[rest], batch_size=bodies.BATCH, shuffle=False, verbose=0)
    assert_equal(client, server)
