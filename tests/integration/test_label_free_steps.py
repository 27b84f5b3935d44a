"""A label-free step is whole or has not been, and what must stay with the client stays there."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from keras_split import SplitModel
from keras_split.errors import ConnectionLost, DeadlineExceeded, NotFinite, ProtocolError
from keras_split.session import Session
from support import bodies
from support.equality import assert_same_arrays
from support.halves import (
    AtBatch,
    Start,
    Witness,
    assert_equal_halves,
    batches_of,
    connect,
    kept_state,
    second_cut_of,
    train,
    trained_whole,
    whole_model,
)
from support.processes import Process, Server
from support.proxy import Proxy

SECOND_CUT = "high_norm"
BAD = 2


def serve(pki, folder, *options):
    every = ["--second-cut", SECOND_CUT, "--seed", str(bodies.SEED), "--nan", "refuse"]
    return Server(pki, folder, "support.bodies:small", bodies.CUT, *every, *options)


@pytest.fixture(scope="module")
def server(pki, tmp_path_factory):
    """One for all tests that wait for nothing; a machine may stand still in the midst of a step."""
    with serve(pki, tmp_path_factory.mktemp("label_free"), "--gradient-seconds", "600") as server:
        yield server


@pytest.fixture(scope="module")
def hasty_server(pki, tmp_path_factory):
    """One that waits for gradients for a second, which any of them may exceed on a busy machine."""
    with serve(pki, tmp_path_factory.mktemp("hasty"), "--gradient-seconds", "1") as server:
        yield server


@pytest.fixture(scope="module")
def beginning(server, tmp_path_factory):
    return Start(server, tmp_path_factory.mktemp("label_free_start") / "start.weights.h5")


@pytest.fixture
def client(lines_client, beginning, line):
    line.mend()
    yield beginning.load(lines_client)
    line.mend()


def test_a_client_of_a_server_trains_as_the_whole_model(client, server):
    assert second_cut_of(client) == [SECOND_CUT]
    whole = whole_model()
    expected, found = (
        train(model, validation_data=batches_of(2), epochs=2).history for model in (whole, client)
    )
    assert {name: found[name] for name in expected} == expected
    assert_equal_halves(whole, client, server)


# A step takes some 650 bytes up and down for each of its two halves.
@pytest.mark.parametrize(
    ("direction", "count"),
    [
        ("up", 1),
        ("up", 300),
        ("up", 750),
        ("up", 1000),
        ("down", 1),
        ("down", 300),
        ("down", 700),
        ("down", 1100),
    ],
)
def test_a_step_cut_anywhere_is_applied_once(client, line, server, direction, count):
    before = server.status().steps
    train(client, callbacks=[AtBatch(BAD, lambda: line.after(direction, count, line.cut))])
    assert line.connections == 1
    assert server.status().steps - before == bodies.BATCHES
    assert_equal_halves(trained_whole(), client, server)


def breaking(monkeypatch, change, step=BAD):
    """Does something to the second half of a step."""
    honest = Session.backward

    def backward(session, gradients):
        return change(session, gradients) if session.version == step else honest(session, gradients)

    monkeypatch.setattr(Session, "backward", backward)
    return honest


def assert_refused_whole(client, server, monkeypatch, kind, advice):
    witness = Witness(BAD, lambda: None)
    with pytest.raises(kind, match=advice):
        train(client, callbacks=[witness])
    witness.assert_unchanged(client)
    monkeypatch.undo()
    x, y = bodies.data()
    rest = slice(BAD * bodies.BATCH, None)
    client.fit(x[rest], y[rest], batch_size=bodies.BATCH, shuffle=False, verbose=0)
    assert_equal_halves(trained_whole(), client, server)


def test_a_client_that_goes_away_between_the_halves_leaves_no_trace(client, server, monkeypatch):
    def go_away(session, gradients):
        raise ConnectionLost("The program ends here.")

    breaking(monkeypatch, go_away)
    assert_refused_whole(client, server, monkeypatch, ConnectionLost, "ends here")


@pytest.fixture
def hasty(hasty_server):
    """A client of the server that waits for a second, at the beginning."""
    with contextlib.closing(connect(hasty_server)) as split:
        split.optimizer.build(split.trainable_variables)
        yield split


@pytest.fixture
def bystander(hasty_server):
    """Another one, whom the server answers only while it waits for nobody's gradients."""
    with contextlib.closing(connect(hasty_server)) as split:
        yield split


def outputs_for(bystander):
    return bystander.predict(bodies.data()[0], verbose=0)


def test_gradients_that_come_too_late_are_refused(hasty, hasty_server, bystander, monkeypatch):
    def dawdle(session, gradients):
        outputs_for(bystander)  # The server has given up waiting.
        return honest(session, gradients)

    honest = breaking(monkeypatch, dawdle, step=0)
    before, witness = kept_state(hasty, hasty_server), Witness(0, lambda: None)
    advice = "did not come within 1 s.*Nothing was applied.*--gradient-seconds"
    with pytest.raises(DeadlineExceeded, match=advice):
        train(hasty, callbacks=[witness])
    witness.assert_unchanged(hasty)
    assert_same_arrays(before, kept_state(hasty, hasty_server), "server")


@pytest.mark.parametrize("wrong", [lambda g: g[:, :-1], lambda g: g[:-1], lambda g: g.astype("float64")])
def test_gradients_that_do_not_fit_are_refused(client, server, monkeypatch, wrong):
    def lie(session, gradients):
        return honest(session, [wrong(each) for each in gradients])

    honest = breaking(monkeypatch, lie)
    assert_refused_whole(client, server, monkeypatch, ProtocolError, "do not fit the outputs")


def test_gradients_that_are_not_finite_are_refused_where_the_server_says_so(client, server, monkeypatch):
    def spoil(session, gradients):
        return honest(session, [np.full_like(each, np.nan) for each in gradients])

    honest = breaking(monkeypatch, spoil)
    assert_refused_whole(client, server, monkeypatch, NotFinite, "--nan refuse")


def test_a_step_that_waits_does_not_keep_others_waiting_for_ever(hasty, bystander, monkeypatch):
    expected = outputs_for(bystander)

    def look(session, gradients):
        found.append(outputs_for(bystander))
        return honest(session, gradients)

    found: list[np.ndarray] = []
    honest = breaking(monkeypatch, look, step=0)
    with pytest.raises(DeadlineExceeded):
        train(hasty)  # It waits for the other, who waits for its step.
    np.testing.assert_array_equal(found[0], expected)


class Seen:
    """Outputs, labels and loss of every step."""

    def __init__(self, model):
        self.arrays: list[np.ndarray] = []
        self.losses: list[np.float32] = []
        compute_metrics, compute_loss = model.compute_metrics, model.compute_loss

        def seeing(x, y, y_pred, sample_weight=None):
            tf.numpy_function(lambda *found: self.arrays.extend(found), [y, y_pred], [])
            return compute_metrics(x, y, y_pred, sample_weight)

        def seeing_loss(*arguments, **options):
            loss = compute_loss(*arguments, **options)
            tf.numpy_function(self.losses.append, [loss], [])
            return loss

        model.compute_metrics, model.compute_loss = seeing, seeing_loss


@pytest.fixture(params=[(), ("--second-cut", SECOND_CUT)], ids=["labels shared", "label-free"])
def open_line(request, tmp_path):
    """A line without encryption, for which a user has to ask by name."""
    command = ["-m", "keras_split", "serve", "support.bodies:telling", "--cut", bodies.CUT, "--port", "0"]
    with (
        Process([*command, "--insecure", *request.param], tmp_path / "server.log", {}) as process,
        Proxy(process.line("Listening on ")) as proxy,
    ):
        yield proxy, bool(request.param)


def test_no_label_no_output_and_no_loss_leaves_the_client(open_line):
    proxy, label_free = open_line
    split = SplitModel.connect(proxy.address, insecure=True)
    seen = Seen(split)
    x, _ = bodies.data()
    labels = np.random.default_rng(9).normal(size=(len(x), bodies.CLASSES)).astype("float32")
    split.evaluate(x, labels, verbose=0)
    split.predict(x, verbose=0)
    # Where labels are shared, those of training are.
    assert not [row for row in labels if row.tobytes() in bytes(proxy.sent_up)]
    history = split.fit(x, labels, batch_size=bodies.BATCH, epochs=2, verbose=0, validation_data=(x, labels))
    outputs = split.predict(x, verbose=0)
    split.close()
    sent = bytes(proxy.sent_up)
    assert len(seen.arrays) > 2 * bodies.BATCHES and len(seen.losses) > 2 * bodies.BATCHES
    rows = [row.tobytes() for array in (*seen.arrays, labels, outputs) for row in array]
    means = [each for name in ("loss", "val_loss") for each in history.history[name]]
    losses = [np.float32(each).tobytes() for each in (*seen.losses, *means)]
    found = [each for each in rows if each in sent]
    # Where labels are shared they are found, so that the test would see them.
    assert (not found) if label_free else (labels[0].tobytes() in found)
    # Four bytes may be among so many by chance, about once in four thousand runs; but not twice.
    assert len({each for each in losses if each in sent}) < 2
