"""What was written is on the disk before it has its name, and is whole or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from keras_split.crypto import Identity
from keras_split.durable import make_folder, written

Done = list[tuple[str, str]]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    """What reaches the disk, and when: files, names that change, and folders by name."""
    found: Done = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        found.append((kind, path.name if kind == "folder" else path.parent.name))
        sync(descriptor)

    def replaced(old: Path, new: Path) -> None:
        found.append(("rename", new.name))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    return found


def test_a_file_is_on_the_disk_before_its_name_and_then_the_name_is(tmp_path: Path, done: Done) -> None:
    make_folder(tmp_path / "own")
    done.clear()
    with written(tmp_path / "own" / "one") as file:
        file.write(b"new")
        assert not (tmp_path / "own" / "one").exists()
    assert (tmp_path / "own" / "one").read_bytes() == b"new"
    assert done == [("file", "own"), ("rename", "one"), ("folder", "own")]


@pytest.mark.parametrize("fails", ["fsync", "replace", "the block"])
def test_what_fails_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def failing(*given: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "one"
    path.write_bytes(b"old")
    if fails != "the block":
        monkeypatch.setattr(os, fails, failing)
    with pytest.raises(KeyboardInterrupt), written(path) as file:
        file.write(b"new")
        if fails == "the block":
            failing()
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["one"]


def test_a_new_folder_is_durable_with_those_above_it(tmp_path: Path, done: Done) -> None:
    make_folder(tmp_path / "run" / "commits")
    assert done == [("folder", tmp_path.name), ("folder", "run")]
    make_folder(tmp_path / "run" / "commits")
    assert len(done) == 2
    assert stat.S_IMODE((tmp_path / "run" / "commits").stat().st_mode) == 0o700


def test_a_key_is_durable_when_it_is_saved(tmp_path: Path, done: Done) -> None:
    Identity.generate("alice", post_quantum=False).save(tmp_path / "own" / "alice.key")
    assert done == [("folder", tmp_path.name), ("file", "own"), ("folder", "own")]
