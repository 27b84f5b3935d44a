"""A run waits for nobody who can never come: someone can open its newest envelope, or the server says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Identity, amend
from keras_split.errors import Refused
from keras_split.owners.waiting import read_waiting
from keras_split.server.run import Run
from support.committing import begun, commit, link_of, take
from support.sealed import ALICE, BOB, CAROL, OWNER, roster_file

ROSTER = roster_file(ALICE, BOB)
WITH_CAROL = amend(ROSTER, add=[CAROL.member], signers=[OWNER])
NEW_ALICE, NEW_BOB = (Identity.generate(name, post_quantum=False) for name in ("alice", "bob"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a run in which alice has handed over."""
    run = begun(tmp_path, ROSTER)
    commit(run, link_of(run, ALICE, take(run, ALICE)), ends=True)
    return tmp_path


def waiting(run: Run, member: Identity) -> pb.Waiting:
    reply = run.ask(member.name, pb.TurnRequest(since=-1, pinned=-1))
    assert reply.HasField("waiting")
    return reply.waiting


def test_who_cannot_open_the_newest_envelope_is_told_who_must_take_a_turn_first(folder: Path) -> None:
    run = begun(folder, WITH_CAROL)
    assert waiting(run, CAROL) == pb.Waiting(member="alice", ahead=1)
    run.ask("alice", pb.TurnRequest(leaves=True))
    assert waiting(run, CAROL) == pb.Waiting(member="bob", ahead=1)
    turn = take(run, BOB)
    assert waiting(run, CAROL) == pb.Waiting(member="bob", trains=True, ahead=1)
    commit(run, link_of(run, BOB, turn), ends=True)
    assert take(run, CAROL) == turn + 1


def test_who_waits_for_those_who_have_all_left_is_told_one_of_them(folder: Path) -> None:
    run = begun(folder, WITH_CAROL)
    for name in ("alice", "bob"):
        run.ask(name, pb.TurnRequest(leaves=True))
    shown = read_waiting(waiting(run, CAROL), run.rota.members)
    assert str(shown) == "waiting for alice to take its turn"


def test_new_keys_for_one_member_wait_for_another(folder: Path) -> None:
    run = begun(folder, amend(ROSTER, rotate=[(ALICE, NEW_ALICE.member)], signers=[OWNER]))
    assert waiting(run, NEW_ALICE).member == "bob"


@pytest.mark.parametrize("members", [(ALICE, BOB), (ALICE,)])
def test_new_keys_for_all_at_once_are_refused_at_the_start(
    tmp_path: Path, members: tuple[Identity, ...]
) -> None:
    before = roster_file(*members)
    run = begun(tmp_path, before)
    turn = take(run, ALICE)
    pairs = list(zip(members, (NEW_ALICE.member, NEW_BOB.member), strict=False))
    after = amend(before, rotate=pairs, signers=[OWNER])
    # As long as nothing is sealed, any keys can begin.
    begun(tmp_path, after)
    commit(run, link_of(run, ALICE, turn))
    with pytest.raises(Refused, match="Nobody in epoch 2 .* keys of epoch 1.* one member at a time"):
        begun(tmp_path, after)


def test_an_older_roster_than_the_runs_is_refused_at_the_start(folder: Path) -> None:
    run = begun(folder, WITH_CAROL)
    commit(run, link_of(run, BOB, take(run, BOB)))
    with pytest.raises(Refused, match="at epoch 2 of its roster, and this file ends with epoch 1"):
        begun(folder, ROSTER)
