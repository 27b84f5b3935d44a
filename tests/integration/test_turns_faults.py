"""Who dies in a turn costs the steps since the last commit, and nothing else; who is late changes nothing."""

from __future__ import annotations

import time

import pytest

from keras_split import Credentials, SplitModel
from keras_split.crypto import Trained
from keras_split.errors import TurnLost
from soak.clinic import Clinic, free_port, server_arguments
from soak.plan import Plan
from soak.ward import Patient, Ward
from support.gate import Gate
from support.run import RunFiles

SHARDS = {"hospital-a": (0, 16), "hospital-b": (16, 40)}
# Of the second owner's first turn, which has three.
IN_A_TURN = 3
# Steps of the first owner's.
FIRST_EPOCH = 2
LEASE_SECONDS = 2.0
PATIENCE_SECONDS = 100


@pytest.fixture(scope="module")
def ward():
    with Ward() as ward:
        yield ward


@pytest.fixture
def clean_ward(ward):
    yield ward
    ward.discharge()


@pytest.mark.parametrize("dies", [["hospital-b"], ["server"], ["store", "server", "hospital-b"]])
def test_whoever_is_killed_in_a_turn_and_started_again_the_run_ends_as_an_undisturbed_one(
    clean_ward, tmp_path, dies
):
    plan = Plan(0, SHARDS, epochs=2, quota=0, commit_every=0)
    assert_exact_although(dies, IN_A_TURN, plan, tmp_path, clean_ward)


def test_an_owner_killed_between_two_epochs_of_one_turn_does_not_train_the_first_again(clean_ward, tmp_path):
    plan = Plan(0, SHARDS, epochs=2, quota=3, commit_every=1)
    assert_exact_although(["hospital-a"], FIRST_EPOCH, plan, tmp_path, clean_ward)


def assert_exact_although(dies, after, plan, folder, ward):
    """Kills in the step after so many."""
    gate = Gate(folder / "gate")
    held = gate.close(after=after)
    with Clinic(plan, folder, ward, gate.variables) as clinic:
        gate.until_reached(held)
        ward.kill(dies)
        gate.open()
        assert ward.until(lambda: all(each.is_over for each in clinic.owners), PATIENCE_SECONDS)
        judge = clinic.start_judge()
        ward.until(lambda: judge.is_over or judge.errors > 0, PATIENCE_SECONDS)
        assert judge.is_over, judge.printed


@pytest.fixture
def run(clean_ward, tmp_path):
    """A server with short leases, and how to be one of its members."""
    files, splits = RunFiles(tmp_path, list(SHARDS)), []
    port = free_port()
    leases = ["--lease-seconds", str(LEASE_SECONDS), "--absence-seconds", str(LEASE_SECONDS)]
    arguments = ["-m", "keras_split", *server_arguments(files, tmp_path, port, *leases)]
    server = Patient("server", arguments, tmp_path / "server.log")
    clean_ward.admit(server)
    assert clean_ward.until(lambda: "Listening on" in server.printed, PATIENCE_SECONDS), server.printed

    def owner_of(name):
        split = SplitModel.connect(
            f"127.0.0.1:{port}",
            Credentials.from_directory(files.pki / name),
            identity=files.identities[name],
            roster=files.roster,
        )
        splits.append(split)
        return split._ownership.owner

    owner_of.server, owner_of.ward = server, clean_ward
    yield owner_of
    for split in splits:
        split.close()


def test_a_silent_holder_loses_its_turn_and_comes_back(run):
    silent, other = map(run, SHARDS)
    lost = silent.take(_wait)
    began, waited = time.monotonic(), []
    taken = other.take(waited.append)
    assert time.monotonic() - began > LEASE_SECONDS / 2
    assert all((each.member, each.trains) == ("hospital-a", True) for each in waited) and waited

    # Its commit comes too late, and changes nothing.
    with pytest.raises(TurnLost):
        silent.commit(lost.state, lost.turn, Trained(0, 1), ends=True, used=1.0)
    other.commit(taken.state, taken.turn, Trained(2, 3), ends=True, used=1.0)
    back = silent.take(_wait)
    assert (back.turn, back.trained) == (taken.turn + 1, Trained())
    silent.commit(back.state, back.turn, Trained(4, 5), ends=True, used=1.0)
    assert other.take(_wait).trained == Trained(2, 3)


def test_two_servers_on_one_folder_are_refused(run, tmp_path):
    first, ward = run.server, run.ward
    second = Patient("second", first.arguments, tmp_path / "second.log")
    ward.admit(second)
    assert ward.until(lambda: second.errors > 0, PATIENCE_SECONDS)
    assert "Another server" in second.printed and first.runs and not first.errors


def _wait(waiting):
    del waiting
