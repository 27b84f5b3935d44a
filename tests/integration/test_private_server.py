"""A private server lives and dies with its owner, and what it kept outlives both."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest

from keras_split import SplitModel
from keras_split.errors import ConnectionLost, RemoteFailure
from keras_split.local import local_server
from support import bodies
from support.client import EPOCHS, Client, load_state
from support.equality import assert_same_arrays, assert_same_state, states_of_whole
from support.gate import Gate, Meanwhile, until
from support.halves import QUICK, Witness, train, trained_whole, whole_model
from support.nursery import ADDRESS
from support.processes import is_running

IN_SECOND_EPOCH = bodies.BATCHES + 3


@contextmanager
def private_model():
    model = whole_model()
    split = SplitModel(model, bodies.CUT, timeouts=QUICK)
    split.compile_from_config(model.get_compile_config())
    try:
        yield split
    finally:
        split.close()


@pytest.fixture(scope="module", params=["", "high_norm"], ids=["labels shared", "label-free"])
def told(request, tmp_path_factory):
    """What is seen of a program that is killed in a step, and of the same one started again."""
    folder = tmp_path_factory.mktemp("private")
    gate = Gate(folder / "gate")
    seen = {"folder": folder, "second cut": request.param or None}
    (folder / "temporary").mkdir()
    variables = {**gate.variables, "TMPDIR": str(folder / "temporary")}
    if not request.param:
        # One of the two starts its server as a user's program does, by a new Python.
        variables[ADDRESS] = ""
    gate.close(after=IN_SECOND_EPOCH - 1)
    with Client(folder, "private", request.param, variables=variables) as client:
        seen["orphan"] = client.private_server
        gate.until_reached(IN_SECOND_EPOCH, lambda: client.runs)
        client.kill()
        client.wait()
    gate.open()
    with Client(folder, "private", request.param, variables=variables) as client:
        seen["server"] = client.private_server
        client.until_done()
        seen["exit code"] = client.wait()
    seen["steps"] = len(gate.calls())
    return seen


def test_a_private_server_does_not_outlive_a_killed_owner(told):
    until(lambda: not is_running(told["orphan"]))


def test_a_private_server_does_not_outlive_an_owner_that_ends(told):
    assert told["exit code"] == 0
    assert not is_running(told["server"])


def test_keys_and_logs_go_with_the_private_server(told):
    until(lambda: not is_running(told["orphan"]))
    assert os.listdir(told["folder"] / "temporary") == []


def test_a_killed_program_goes_on_as_if_nothing_had_been(told):
    # The first epoch was not trained again: one step was lost with the program, and two before it.
    assert told["steps"] == EPOCHS * bodies.BATCHES + 3
    whole = trained_whole(EPOCHS * bodies.BATCHES)
    client, server = states_of_whole(whole, bodies.CUT, told["second cut"])
    assert_same_arrays(client, load_state(told["folder"] / "client.npz"), "client")
    assert_same_arrays(server, load_state(told["folder"] / "server.npz"), "server")


def test_a_private_server_that_dies_ends_the_training(monkeypatch, tmp_path):
    gate = Gate(tmp_path / "gate")

    def kill(number):
        gate.until_reached(number)
        local_server().process.kill()

    # From here on servers are started by a new Python, which has to find this program's own layers.
    monkeypatch.setenv(ADDRESS, "")
    # And they look at the gate.
    monkeypatch.setenv(*next(iter(gate.variables.items())))
    local_server().stop()
    with private_model() as split, Meanwhile() as meanwhile:
        witness = Witness(2, lambda: gate.while_held(meanwhile, kill))
        with pytest.raises(ConnectionLost, match="private server: build the SplitModel anew.*checkpoint_dir"):
            train(split, callbacks=[witness])
        witness.assert_unchanged(split)
    # Another one takes its place.
    with private_model() as split:
        train(split)
        assert_same_state(trained_whole(), split)
    local_server().stop()


def test_a_step_that_fails_leaves_a_private_server_as_it_was():
    x, y = bodies.data()
    y[2 * bodies.BATCH] = bodies.CLASSES
    with private_model() as split:
        witness = Witness(2, lambda: None)
        with pytest.raises(RemoteFailure, match="InvalidArgumentError; its log says where"):
            split.fit(x, y, batch_size=bodies.BATCH, shuffle=False, verbose=0, callbacks=[witness])
        witness.assert_unchanged(split)
        assert_same_state(trained_whole(2), split)


def test_a_closed_model_does_not_begin_anew():
    with private_model() as split:
        train(split, 1)
        split.close()
        with pytest.raises(ConnectionLost, match="closed"):
            train(split, 1)
