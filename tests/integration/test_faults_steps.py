"""A step that must not or cannot be done is refused whole, and training can go on without it."""

from __future__ import annotations

import numpy as np
import pytest

from keras_split.codec import Limits
from keras_split.errors import (
    NotFinite,
    ProtocolError,
    RemoteFailure,
    SplitError,
    TrainerBusy,
    VersionMismatch,
)
from keras_split.session import Session
from support import bodies
from support.equality import assert_same_arrays, client_state
from support.halves import AtBatch, Witness, assert_equal_halves, train, trained_whole

BAD = 2


def fit(model, x, y, **options):
    return model.fit(x, y, batch_size=bodies.BATCH, shuffle=False, verbose=0, **options)


def spoilt(column, value, dtype=None):
    """The data with one bad value in batch `BAD`: an input, or the label."""
    x, y = bodies.data()
    row = BAD * bodies.BATCH + 1
    (x if column == "x" else y)[row] = value
    return x, y


def rest_of_data():
    x, y = bodies.data()
    return x[BAD * bodies.BATCH :], y[BAD * bodies.BATCH :]


@pytest.mark.parametrize(
    ("data", "kind", "advice"),
    [
        (("x", np.nan), NotFinite, "--nan refuse.*Nothing was applied.*look at the batch"),
        (("x", np.inf), NotFinite, "--nan refuse"),
        (("y", 99), RemoteFailure, "server failed with InvalidArgumentError; its log says where"),
    ],
    ids=["NaN", "infinity", "no such class"],
)
def test_a_bad_batch_is_as_if_it_had_never_been(client, shared_server, data, kind, advice):
    witness = Witness(BAD, lambda: None)
    with pytest.raises(kind, match=advice):
        fit(client, *spoilt(*data), callbacks=[witness])
    witness.assert_unchanged(client)
    fit(client, *rest_of_data())
    assert_equal_halves(trained_whole(), client, shared_server)


def test_a_bad_batch_within_an_execution_leaves_the_steps_before_it(connected, shared_server):
    split = connected()
    split.compile(steps_per_execution=5)
    with pytest.raises(NotFinite):
        fit(split, *spoilt("x", np.nan))
    assert_equal_halves(trained_whole(BAD), split, shared_server)


def test_a_batch_beyond_the_servers_limit_is_refused(client, shared_server):
    before = client_state(client)
    x, y = (np.repeat(each, 500, axis=0) for each in bodies.data())
    with pytest.raises(ProtocolError, match="exceeds the limit of 1048576.*smaller batches"):
        client.fit(x, y, batch_size=len(x), verbose=0)
    assert_same_arrays(before, client_state(client), "client")
    train(client)
    assert_equal_halves(trained_whole(), client, shared_server)


def test_a_reply_beyond_the_clients_limit_is_refused(connected):
    split = connected(limits=Limits(max_message_bytes=500))
    before = client_state(split)
    with pytest.raises(ProtocolError, match="exceeds the limit of 500.*max_message_bytes"):
        train(split)
    assert_same_arrays(before, client_state(split), "client")
    # The server has done the step, and this half has not.
    with pytest.raises(VersionMismatch, match="seen 0 updates and the server 1"):
        train(split)


@pytest.mark.parametrize("error", [StopIteration(), RuntimeError("a bug"), MemoryError()])
def test_an_error_inside_the_exchange_never_ends_an_epoch_quietly(client, monkeypatch, error):
    step = Session.step

    def break_down(session, *arguments):
        if session.version == BAD:
            raise error
        return step(session, *arguments)

    monkeypatch.setattr(Session, "step", break_down)
    witness = Witness(BAD, lambda: None)
    with pytest.raises(ProtocolError if isinstance(error, StopIteration) else type(error)) as caught:
        train(client, callbacks=[witness])
    witness.assert_unchanged(client)
    if isinstance(error, StopIteration):
        assert "stopped in the middle" in str(caught.value)


def test_a_second_trainer_is_refused_and_the_first_goes_on(connected, shared_server):
    second, first = connected(), connected()
    before = client_state(second)

    def train_both():
        with pytest.raises(TrainerBusy, match="Another client.*Try again when it has finished"):
            train(second)

    train(first, callbacks=[AtBatch(2, train_both)])
    assert_same_arrays(before, client_state(second), "client")
    assert_equal_halves(trained_whole(), first, shared_server)


def test_the_turn_is_free_after_each_way_in_which_fit_can_end(connected, shared_server):
    first, second = connected(), connected(at_start=False)

    def give_up():
        raise KeyboardInterrupt

    for error, action in ((KeyboardInterrupt, give_up), (ZeroDivisionError, lambda: 1 / 0)):
        with pytest.raises(error):
            train(first, callbacks=[AtBatch(1, action)])
        # The other one's half is older, and no longer because the turn is taken.
        with pytest.raises(VersionMismatch):
            train(second)


def test_a_half_that_was_not_moved_with_the_other_is_refused(connected, start):
    first, second = connected(), connected(at_start=False)
    train(first)
    start.load(second)
    with pytest.raises(VersionMismatch, match="one of the halves moved without the other"):
        train(first)
    with pytest.raises(ValueError, match="ticket"):
        first.set_weights(second.get_weights()[:-1])


def test_a_ticket_that_the_server_does_not_know_is_refused_every_time(client, shared_server):
    lost = client.get_weights()
    lost[-1] = np.array([0, 12345])
    with pytest.raises(SplitError, match="no snapshot of version 0 .*--checkpoint-dir"):
        client.set_weights(lost)
    # This half has moved and the server has not: it must not be trained as if nothing had been.
    for _ in range(2):
        with pytest.raises(SplitError, match="no snapshot of version 0"):
            train(client)


def test_a_damaged_snapshot_is_refused(client, shared_server):
    weights = client.get_weights()
    (path,) = shared_server.checkpoints.glob(f"*-{int(weights[-1][1]):016x}.state")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(SplitError, match="damaged"):
        client.set_weights(weights)
