"""A private server lives and dies with its owner, and what it kept outlives both."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from keras_split.errors import ConnectionLost, RemoteFailure
from keras_split.local import local_server
from support import bodies
from support.client import EPOCHS, Client, load_state
from support.equality import assert_same_arrays, assert_same_state, client_state, states_of_whole
from support.gate import Gate, Meanwhile, until
from support.halves import Witness, train, trained_whole, whole_model
from support.pairs import paired_models
from support.processes import is_running

IN_SECOND_EPOCH = bodies.BATCHES + 3


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What is seen of a program that is killed in a step, and of the same one started again."""
    folder = tmp_path_factory.mktemp("private")
    gate = Gate(folder / "gate")
    seen = {"folder": folder}
    temporary = {"TMPDIR": str(folder / "temporary")}
    (folder / "temporary").mkdir()
    gate.close(after=IN_SECOND_EPOCH - 1)
    with Client(folder, "private", variables={**gate.variables, **temporary}) as client:
        seen["orphan"] = client.private_server
        gate.until_reached(IN_SECOND_EPOCH)
        client.kill()
        client.wait()
    gate.open()
    with Client(folder, "private", variables={**gate.variables, **temporary}) as client:
        seen["server"] = client.private_server
        client.until_done()
        seen["exit code"] = client.wait()
    seen["steps"] = len(gate.calls())
    return seen


def test_a_private_server_does_not_outlive_a_killed_owner(told):
    until(lambda: not is_running(told["orphan"]), seconds=10)


def test_a_private_server_does_not_outlive_an_owner_that_ends(told):
    assert told["exit code"] == 0
    assert not is_running(told["server"])


def test_keys_and_logs_go_with_the_private_server(told):
    until(lambda: not is_running(told["orphan"]), seconds=10)
    assert os.listdir(told["folder"] / "temporary") == []


def test_a_killed_program_goes_on_as_if_nothing_had_been(told):
    # The first epoch was not trained again: one step was lost with the program, and two before it.
    assert told["steps"] == EPOCHS * bodies.BATCHES + 3
    client, server = states_of_whole(trained_whole(EPOCHS * bodies.BATCHES), bodies.CUT)
    assert_same_arrays(client, load_state(told["folder"] / "client.npz"), "client")
    assert_same_arrays(server, load_state(told["folder"] / "server.npz"), "server")
