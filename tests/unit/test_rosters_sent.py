"""Members get the epochs of the roster that they lack, in a reply that fits into a frame, and no others."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits
from keras_split.crypto import Identity, amend, create_roster, read_rosters
from keras_split.errors import RosterRefused
from keras_split.owners import Agreed, DataOwner, Membership, Places
from keras_split.server.run import BYTES_BESIDE_ROSTER, Run
from keras_split.server.run_folder import open_run
from keras_split.server.run_options import RunOptions
from support.committing import begun, commit, link_of, take
from support.sealed import ALICE, BOB, OWNER, SETTINGS, TOPOLOGY, roster_file
from support.served import serve

FIRST = roster_file(ALICE)
SECOND = amend(FIRST, add=[BOB.member], signers=[OWNER])
LINKS = 40


def ask(run: Run, **given: int) -> pb.TurnReply:
    return run.ask("alice", pb.TurnRequest(**{"since": -1, "pinned": -1, **given}))


def owner(run: Run, folder: Path, roster: str) -> DataOwner:
    """Alice, who asks this run without a line between them."""
    session: Any = SimpleNamespace(ask_for_turn=lambda request: run.ask("alice", request))
    handover: Any = SimpleNamespace(address="")
    membership = Membership(ALICE, roster, Places(folder=folder))
    return DataOwner(membership, handover, lambda: session, Agreed(TOPOLOGY, SETTINGS), lambda secret: {}, 64)


def test_the_roster_goes_to_whom_it_is_new(tmp_path: Path) -> None:
    run = begun(tmp_path, SECOND)
    assert [ask(run, epochs=count).roster for count in (0, 1, 2)] == [SECOND, SECOND, ""]


def test_a_member_learns_new_epochs_once(tmp_path: Path) -> None:
    alice = owner(begun(tmp_path / "server", SECOND), tmp_path, FIRST)
    assert alice.look() == {}
    assert alice.membership.names() == ["alice", "bob"]
    assert alice._request(-1).epochs == 2


def test_a_server_with_an_older_roster_than_the_members_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(RosterRefused, match="epoch 1 of the roster, and this member epoch 2"):
        owner(begun(tmp_path / "server", FIRST), tmp_path, SECOND).look()


def test_all_links_come_also_with_a_new_roster(tmp_path: Path) -> None:
    run = begun(tmp_path / "server", FIRST)
    turn = take(run, ALICE)
    for _ in range(LINKS):
        commit(run, link_of(run, ALICE, turn))
    again = begun(tmp_path / "server", SECOND)
    alice, reply = owner(again, tmp_path, FIRST), ask(again, looks=True)
    assert len(reply.links) < LINKS and reply.more_links
    alice.membership.learn(reply.roster)
    assert alice._shown.links(reply)[-1].header.number == LINKS - 1


def test_a_roster_that_fits_into_no_reply_is_refused_at_the_start(tmp_path: Path) -> None:
    served = serve(tmp_path / "snapshots")
    too_long = FIRST + " " * (Limits().max_frame_bytes - BYTES_BESIDE_ROSTER)
    with pytest.raises(ValueError, match="Begin a new run"):
        open_run(served, RunOptions(too_long, read_rosters(FIRST)), tmp_path)
    served.engine.stop()


def test_what_stands_beside_a_roster_leaves_it_its_room(tmp_path: Path) -> None:
    names = [f"member-{at:03d}{'x' * 54}" for at in range(256)]
    people = [Identity.generate(name, post_quantum=False) for name in names]
    roster = create_roster([each.member for each in people], [OWNER.member], signers=[OWNER])
    run = begun(tmp_path, roster)
    for name in names:
        run.ask(name, pb.TurnRequest(leaves=True, address="\U0001f600" * 300))
    turn = take(run, people[0])
    for _ in range(LINKS):
        commit(run, link_of(run, people[0], turn))
    reply = run.ask(names[0], pb.TurnRequest(since=-1, pinned=-1))
    assert len(reply.links) < LINKS and reply.more_links
    assert reply.ByteSize() - len(reply.roster) < BYTES_BESIDE_ROSTER
