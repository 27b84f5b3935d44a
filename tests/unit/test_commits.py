"""A commit lasts from one moment on, on the disk and in memory; whatever is older or half done counts nowhere."""

from __future__ import annotations

from pathlib import Path

from keras_split._proto.v1 import split_pb2 as pb
from support.committing import link_of, open_run, take
from support.sealed import ALICE, roster_file
from support.served import serve


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
