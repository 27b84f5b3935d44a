"""The server keeps the envelopes that a member may still ask for, of its own run, and no others."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from keras_split.crypto.canonical import sha256
from keras_split.server import links as links_module
from keras_split.server.run import Run
from keras_split.store import BlobFolder
from support.committing import begun, blob_of, commit, link_of, take
from support.sealed import ALICE, OTHER_RUN, RUN, roster_file

FULL, DELTA = "full", "delta"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return begun(tmp_path, roster_file(ALICE))


def put(run: Run, blob: bytes, name: str = RUN) -> None:
    assert run.envelopes is not None
    run.envelopes._blobs.put(name, sha256(blob), [blob])


def hand_over(run: Run, *kinds: str) -> list[int]:
    """Commits an envelope of each kind; returns the numbers of those that are there then."""
    turn = take(run, ALICE)
    for kind in kinds:
        put(run, blob_of(run.rota.record.number + 1))
        commit(run, link_of(run, ALICE, turn, kind=kind))
    return kept(run)


def kept(run: Run) -> list[int]:
    assert run.envelopes is not None
    blobs = run.envelopes._blobs
    numbers = range(run.rota.record.number + 1)
    return [number for number in numbers if blobs.has(RUN, sha256(blob_of(number)))]


def test_what_comes_before_the_last_whole_state_but_one_is_dropped(run: Run) -> None:
    assert hand_over(run, FULL, DELTA, DELTA, FULL, DELTA) == [0, 1, 2, 3, 4]
    assert hand_over(run, FULL) == [3, 4, 5]
    assert hand_over(run, DELTA, DELTA) == [3, 4, 5, 6, 7]
    assert hand_over(run, FULL, FULL) == [8, 9]


def test_what_no_commit_names_and_what_is_another_runs_stays(run: Run) -> None:
    assert run.envelopes is not None
    blobs = run.envelopes._blobs
    put(run, b"its commit may be about to come")
    put(run, blob_of(0), OTHER_RUN)
    assert hand_over(run, FULL, FULL, FULL) == [1, 2]
    assert blobs.has(RUN, sha256(b"its commit may be about to come"))
    assert blobs.has(OTHER_RUN, sha256(blob_of(0)))


def test_a_commit_lasts_although_old_envelopes_cannot_be_dropped(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*given: object) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patched:
        patched.setattr(BlobFolder, "drop", fails)
        assert hand_over(run, FULL, DELTA, FULL, FULL) == [0, 1, 2, 3]
    assert "could not be dropped: Permission denied" in caplog.text
    again = begun(tmp_path, roster_file(ALICE))
    assert again.rota.record.number == 3
    assert hand_over(again, FULL) == [3, 4]


def test_links_take_no_more_memory_the_longer_a_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "_KEPT", 3)
    run = begun(tmp_path, roster_file(ALICE))
    hand_over(run, FULL, *[DELTA] * 9)
    assert [link.header.number for link in run._links.page(0, 9)] == list(range(10))
    assert run._links._kept.cache_info().currsize == 3
