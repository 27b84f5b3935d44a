"""A folder of blobs: whole and durable or not there, within its ceilings, and nowhere else."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest

from keras_split.errors import BlobMissing, ProtocolError, StoreFull
from keras_split.state import occupied
from keras_split.store import BlobFolder

RUN, OTHER_RUN = "0123abcd" * 4, "ffffffff"
BLOB = bytes(range(256)) * 8
PLENTY = 1 << 30
DAY_SECONDS = 86_400


def name_of(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def files_of(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}


def put(folder: BlobFolder, blob: bytes, run: str = RUN) -> bool:
    return folder.put(run, name_of(blob), [blob[:100], blob[100:]])


def read(folder: BlobFolder, blob: bytes, run: str = RUN) -> bytes:
    return b"".join(folder.get(run, name_of(blob)))


@pytest.fixture
def folder(tmp_path):
    return BlobFolder(tmp_path / "blobs", PLENTY, PLENTY)


def test_what_was_put_comes_back_and_is_the_only_file(folder):
    assert put(folder, BLOB)
    assert read(folder, BLOB) == BLOB
    assert folder.has(RUN, name_of(BLOB)) and folder.size(RUN, name_of(BLOB)) == len(BLOB)
    assert files_of(folder.path) == {f"{RUN}/{name_of(BLOB)}"}


def test_a_large_blob_comes_in_pieces_of_a_mebibyte(folder):
    blob = os.urandom((2 << 20) + 5)
    put(folder, blob)
    pieces = list(folder.get(RUN, name_of(blob)))
    assert [len(each) for each in pieces] == [1 << 20, 1 << 20, 5]
    assert b"".join(pieces) == blob


def test_putting_again_reads_nothing_and_changes_nothing(folder):
    def never():
        raise AssertionError("The pieces of a blob that is there were read.")
        yield b""

    put(folder, BLOB)
    assert folder.put(RUN, name_of(BLOB), never()) is False
    assert read(folder, BLOB) == BLOB and folder.total_bytes == len(BLOB)


def test_runs_are_apart(folder):
    put(folder, BLOB)
    assert not folder.has(OTHER_RUN, name_of(BLOB))
    with pytest.raises(BlobMissing):
        read(folder, BLOB, OTHER_RUN)


def test_other_bytes_than_the_names_leave_nothing(folder):
    with pytest.raises(ProtocolError, match="nothing was kept"):
        folder.put(RUN, name_of(BLOB), [BLOB[:-1]])
    assert files_of(folder.path) == set() and folder.total_bytes == 0


def test_a_stream_that_breaks_leaves_nothing(folder):
    def broken():
        yield BLOB
        raise ConnectionError

    with pytest.raises(ConnectionError):
        folder.put(RUN, name_of(BLOB), broken())
    assert files_of(folder.path) == set() and folder.total_bytes == 0


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("..", name_of(BLOB)),
        ("../../etc", name_of(BLOB)),
        ("/etc", name_of(BLOB)),
        ("", name_of(BLOB)),
        (RUN.upper(), name_of(BLOB)),
        (f"{RUN}\n", name_of(BLOB)),
        (RUN, "../" + name_of(BLOB)[3:]),
        (RUN, name_of(BLOB)[:-1]),
        (RUN, name_of(BLOB) + "0"),
        (RUN, name_of(BLOB).upper()),
        (RUN, "\0" * 64),
        (RUN, "٠" * 64),
    ],
)
def test_a_name_that_is_not_hex_of_its_length_is_refused(folder, run, name):
    for call in (
        lambda: folder.put(run, name, [BLOB]),
        lambda: folder.get(run, name),
        lambda: folder.has(run, name),
    ):
        with pytest.raises(ProtocolError, match="Received: "):
            call()
    assert files_of(folder.path.parent) == set()


def test_a_blob_above_its_ceiling_is_refused_while_it_comes(tmp_path):
    folder = BlobFolder(tmp_path, len(BLOB) - 1, PLENTY)
    with pytest.raises(ProtocolError, match="ceiling of 2,047"):
        put(folder, BLOB)
    assert files_of(tmp_path) == set()


def test_a_blob_above_the_ceiling_is_not_read_either(tmp_path, folder):
    put(folder, BLOB)
    small = BlobFolder(folder.path, len(BLOB) - 1, PLENTY)
    for call in (small.get, small.size):
        with pytest.raises(ProtocolError, match="ceiling"):
            call(RUN, name_of(BLOB))


def test_the_ceiling_on_all_blobs_holds_and_keeps_the_old_ones(tmp_path):
    folder = BlobFolder(tmp_path, PLENTY, 3 * len(BLOB) - 1)
    first, second, third = BLOB, BLOB[::-1], BLOB[1:] + BLOB[:1]
    put(folder, first), put(folder, second)
    with pytest.raises(StoreFull, match="--max-total-mib"):
        put(folder, third)
    assert (read(folder, first), read(folder, second)) == (first, second)
    assert folder.total_bytes == 2 * len(BLOB)
    again = BlobFolder(tmp_path, PLENTY, 3 * len(BLOB) - 1)
    with pytest.raises(StoreFull):
        put(again, third)


def test_the_ceiling_holds_for_blobs_that_are_written_at_the_same_time(tmp_path):
    folder = BlobFolder(tmp_path, PLENTY, len(BLOB) + 1)
    inside, go_on, outcome = threading.Event(), threading.Event(), []

    def slowly():
        yield BLOB
        inside.set()
        assert go_on.wait(100)

    writer = threading.Thread(target=lambda: outcome.append(folder.put(RUN, name_of(BLOB), slowly())))
    writer.start()
    assert inside.wait(100)
    with pytest.raises(StoreFull):
        put(folder, BLOB[::-1])
    go_on.set()
    writer.join(100)
    assert outcome == [True] and folder.total_bytes == len(BLOB)


def test_two_writers_of_one_blob_count_it_once(folder):
    def twice():
        yield BLOB
        assert put(folder, BLOB)

    folder.put(RUN, name_of(BLOB), twice())
    assert read(folder, BLOB) == BLOB and folder.total_bytes == len(BLOB)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_the_old_blobs_stay(folder, monkeypatch, number):
    def full(descriptor):
        raise OSError(number, os.strerror(number))

    put(folder, BLOB)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull, match="is full: the blob was not kept"):
        put(folder, BLOB[::-1])
    monkeypatch.undo()
    assert read(folder, BLOB) == BLOB
    assert files_of(folder.path) == {f"{RUN}/{name_of(BLOB)}"} and folder.total_bytes == len(BLOB)
    assert put(folder, BLOB[::-1])


def test_a_broken_disk_is_not_taken_for_a_full_one(folder, monkeypatch):
    def broken(descriptor):
        raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="I/O error"):
        put(folder, BLOB)


def test_the_name_appears_after_the_bytes_are_durable_and_then_the_folders_are(folder, monkeypatch):
    done = []
    sync, replace = os.fsync, os.replace

    def kind(descriptor):
        return "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"

    monkeypatch.setattr(os, "fsync", lambda each: (done.append(kind(each)), sync(each)))
    monkeypatch.setattr(os, "replace", lambda *each: (done.append("rename"), replace(*each)))
    put(folder, BLOB)
    # Between them, that of the run's own folder in the one above.
    assert done == ["file", "folder", "rename", "folder"]
    done.clear()
    put(folder, BLOB[::-1])
    assert done == ["file", "rename", "folder"]


def test_what_a_killed_process_left_is_cleared_away_at_the_start(folder):
    put(folder, BLOB)
    (folder.path / ".writing-abcd").write_bytes(b"half")
    with occupied(folder.path):
        again = BlobFolder(folder.path, PLENTY, PLENTY)
        assert again.total_bytes == len(BLOB)
        assert files_of(folder.path) == {".lock", f"{RUN}/{name_of(BLOB)}"}


def test_without_the_lock_only_what_nobody_can_be_writing_is_cleared_away(folder):
    for name, age_days in ((".writing-old", 2), (".writing-new", 0)):
        _write_aged(folder.path / name, age_days)
    BlobFolder(folder.path, PLENTY, PLENTY, is_shared=True)
    assert files_of(folder.path) == {".writing-new"}


def test_a_blob_that_the_disk_has_damaged_may_be_put_anew(folder):
    put(folder, BLOB)
    (folder.path / RUN / name_of(BLOB)).write_bytes(b"damaged")
    assert put(folder, BLOB)
    assert read(folder, BLOB) == BLOB


def test_a_blob_that_goes_while_it_is_put_again_is_kept(folder, monkeypatch):
    def goes(path):
        monkeypatch.undo()
        path.unlink()
        os.utime(path)

    put(folder, BLOB)
    monkeypatch.setattr(os, "utime", goes)
    assert put(folder, BLOB)
    assert read(folder, BLOB) == BLOB


def test_days_drop_what_nobody_has_put_since_and_nothing_of_others(tmp_path):
    folder = BlobFolder(tmp_path, PLENTY, PLENTY)
    old, kept, new = BLOB, BLOB[::-1], BLOB[1:]
    for blob, age_days in ((old, 9), (kept, 9), (new, 0)):
        put(folder, blob)
        _age(tmp_path / RUN / name_of(blob), age_days)
    _write_aged(tmp_path / RUN / "notes.txt", 9)
    _write_aged(tmp_path / "notes.txt", 9)
    put(folder, kept)
    again = BlobFolder(tmp_path, PLENTY, PLENTY, keep_days=7)
    names = {f"{RUN}/{name_of(kept)}", f"{RUN}/{name_of(new)}", f"{RUN}/notes.txt", "notes.txt"}
    assert files_of(tmp_path) == names
    assert again.total_bytes == len(kept) + len(new)
    _age(tmp_path / RUN / name_of(new), 9)
    put(again, old)
    assert not again.has(RUN, name_of(new)) and again.total_bytes == len(kept) + len(old)


def test_what_is_dropped_is_gone_and_leaves_its_room(folder):
    put(folder, BLOB), put(folder, BLOB[::-1])
    for _ in range(2):
        folder.drop(RUN, name_of(BLOB))
        assert not folder.has(RUN, name_of(BLOB)) and folder.total_bytes == len(BLOB)
    assert read(folder, BLOB[::-1]) == BLOB[::-1]


def test_blobs_are_their_owners_alone_unless_the_folder_is_shared(tmp_path):
    modes = {}
    for is_shared in (False, True):
        folder = BlobFolder(tmp_path / str(is_shared), PLENTY, PLENTY, is_shared=is_shared)
        put(folder, BLOB)
        found = [folder.path, folder.path / RUN, folder.path / RUN / name_of(BLOB)]
        modes[is_shared] = [each.stat().st_mode & 0o777 for each in found]
    mask = os.umask(0)
    os.umask(mask)
    assert modes == {False: [0o700, 0o700, 0o600], True: [0o777 & ~mask, 0o777 & ~mask, 0o666 & ~mask]}


def _write_aged(path: Path, days: int) -> None:
    path.write_bytes(b"content")
    _age(path, days)


def _age(path: Path, days: int) -> None:
    then = path.stat().st_mtime - days * DAY_SECONDS
    os.utime(path, (then, then))
