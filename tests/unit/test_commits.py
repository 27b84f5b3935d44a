"""A commit lasts from one moment on, on the disk and in memory; what is older or half done counts nowhere."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from keras_split import durable
from keras_split._proto.v1 import split_pb2 as pb
from keras_split.errors import DamagedEnvelope, Refused, StoreFull
from keras_split.server.run import Run
from keras_split.state import Shelf
from support.committing import begun, body, commit, link_of, open_run, take
from support.sealed import ALICE, BOB, roster_file
from support.served import serve

ROSTER = roster_file(ALICE, BOB)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """With two commits."""
    made = begun(tmp_path, ROSTER)
    turn = take(made, ALICE)
    commit(made, link_of(made, ALICE, turn))
    commit(made, link_of(made, ALICE, turn), ends=True)
    return made


def test_a_commit_that_is_asked_for_again_does_not_make_later_steps_last(tmp_path: Path) -> None:
    served = serve(tmp_path / "snapshots")
    run = open_run(tmp_path, roster_file(ALICE), served.digest)
    served.take_part(run)
    turn = take(run, ALICE)
    served.turns.applied(1)
    link = link_of(run, ALICE, turn, topology=served.digest, version=1)
    commit = pb.Commit(link=link.to_bytes())
    assert served.commit("alice", turn, commit) == 0
    served.turns.applied(2)
    assert served.commit("alice", turn, commit) == 0
    served.take_back()
    assert served.turns.version == served.committed_version == 1
    served.engine.stop()


@pytest.mark.parametrize("kind", ["full", "delta"])
def test_what_goes_on_from_another_state_than_the_last_is_no_commit(run: Run, kind: str) -> None:
    link = link_of(run, BOB, take(run, BOB), kind=kind, base="9" * 64)
    with pytest.raises(DamagedEnvelope, match="Link 2 goes on from another client state"):
        commit(run, link)
    assert run.rota.record.number == 1
    assert commit(run, link_of(run, BOB, 2, kind=kind)) == 2


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def test_a_server_that_is_started_again_goes_on_from_the_last_commit(run: Run, tmp_path: Path) -> None:
    again = begun(tmp_path, ROSTER)
    assert again.rota.record.to_json() == {**run.rota.record.to_json(), "away": []}
    assert again.latest()[0] == body()


def test_where_the_last_holder_offers_its_envelope_outlives_the_server(run: Run, tmp_path: Path) -> None:
    run.ask("alice", pb.TurnRequest(since=-1, pinned=-1, address="a.example:1"))
    run.ask("bob", pb.TurnRequest(since=-1, pinned=-1, address="b.example:2"))
    commit(run, link_of(run, BOB, 2), ends=True)
    run.ask("bob", pb.TurnRequest(leaves=True))
    told = begun(tmp_path, ROSTER).ask("alice", pb.TurnRequest(since=-1, pinned=-1))
    assert dict(told.addresses) == {"alice": "a.example:1", "bob": "b.example:2"}


def test_who_has_left_is_not_waited_for_by_a_server_that_is_started_again(run: Run, tmp_path: Path) -> None:
    run.ask("bob", pb.TurnRequest(leaves=True))
    assert take(begun(tmp_path, ROSTER), ALICE) == 2


def test_who_has_come_back_is_waited_for_by_a_server_that_is_started_again(run: Run, tmp_path: Path) -> None:
    run.ask("bob", pb.TurnRequest(leaves=True))
    take(run, BOB)
    again = begun(tmp_path, ROSTER)
    told = again.ask("alice", pb.TurnRequest(since=-1, pinned=-1))
    assert told.waiting.member == "bob"


def test_a_note_on_absences_of_an_older_commit_or_a_damaged_one_counts_nothing(
    run: Run, tmp_path: Path
) -> None:
    run.ask("bob", pb.TurnRequest(leaves=True))
    note = (tmp_path / "away.json").read_bytes()
    turn = take(run, ALICE)
    run.ask("bob", pb.TurnRequest(since=-1, pinned=-1))
    commit(run, link_of(run, ALICE, turn))
    for found in (note, b"{", b"[]", b'{"commit": 2}'):
        (tmp_path / "away.json").write_bytes(found)
        assert begun(tmp_path, ROSTER).rota.passed_over() == []


def test_links_without_commits_are_no_new_run(run: Run, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "commits")
    with pytest.raises(Refused, match="no commit in `commits`.*newest backup.*roster create"):
        begun(tmp_path, ROSTER)
    assert not list((tmp_path / "commits").iterdir())


def test_commits_of_which_none_can_be_read_are_no_new_run(run: Run, tmp_path: Path) -> None:
    for path in (tmp_path / "commits").iterdir():
        spoil(path)
    with pytest.raises(Refused, match="None of the commits.*newest backup"):
        begun(tmp_path, ROSTER)
    with pytest.raises(Refused, match="None of the commits"):
        run.latest()


@pytest.mark.parametrize("damage", [spoil, os.unlink])
def test_a_commit_without_its_link_is_refused(run: Run, tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    damage(tmp_path / "links" / "000000001.link")
    with pytest.raises(Refused, match="do not belong together.*newest backup"):
        begun(tmp_path, ROSTER)


def test_another_commit_than_the_last_one_is_not_gone_back_to(run: Run, tmp_path: Path) -> None:
    newest = max((tmp_path / "commits").iterdir())
    content = newest.read_bytes()
    spoil(newest)
    with pytest.raises(Refused, match="not the run's last one"):
        run.latest()
    newest.write_bytes(content)
    older = begun(tmp_path, ROSTER)
    commit(run, link_of(run, BOB, take(run, BOB)))
    with pytest.raises(Refused, match="not the run's last one"):
        older.latest()


@pytest.mark.parametrize(
    ("owner", "name", "failure", "kind"),
    [
        (durable, "sync_folder", errno.ENOSPC, StoreFull),
        (durable, "sync_folder", errno.EIO, OSError),
        (Shelf, "_prune", errno.EACCES, OSError),
    ],
)
def test_what_fails_behind_the_rename_leaves_memory_and_disk_at_one_commit(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    failure: int,
    kind: type[Exception],
) -> None:
    link = link_of(run, BOB, take(run, BOB))
    fail_once(monkeypatch, owner, name, failure)
    with pytest.raises(kind):
        commit(run, link, ends=True)
    assert run.rota.record.number == 2 and run.latest()[0] == body()
    assert commit(run, link, ends=True) == 2
    assert begun(tmp_path, ROSTER).rota.record.number == 2
    assert take(run, ALICE) == 3


def fail_once(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, failure: int) -> None:
    """The next call alone that has to do with commits, and not with links."""
    done = getattr(owner, name)

    def fails(given: Path | Shelf) -> None:
        folder = given.folder if isinstance(given, Shelf) else given
        if folder.name != "commits":
            return done(given)
        monkeypatch.setattr(owner, name, done)
        raise OSError(failure, os.strerror(failure))

    monkeypatch.setattr(owner, name, fails)
