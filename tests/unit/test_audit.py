"""The chain of an audit log: what was changed is found, at the line where it was."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from keras_split.audit import AuditLog, verify_log
from keras_split.cli import main

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make(path: Path, events: int = 3) -> AuditLog:
    log = AuditLog(path, lambda: NOON)
    for number in range(events):
        log.append("committed", "hospital-a", {"number": number, "link": "ab" * 32}, durable=True)
    return log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "audit.log").close()
    return tmp_path / "audit.log"


def verdict_of(path: Path, lines: list[bytes]):
    path.write_bytes(b"".join(lines))
    return verify_log(path)


def test_a_log_as_it_was_written_is_intact(path: Path) -> None:
    found = verify_log(path)
    assert found.is_intact and found.records == 5 and found.sealed == 0
    assert found.first_at == found.last_at == "2026-03-01T12:00:00.000Z"
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_flipped_byte_is_found_at_its_line(path: Path) -> None:
    whole = path.read_bytes()
    for at in range(len(whole)):
        mask = 1 << (at % 8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :])
        assert verify_log(path).bad_line == whole[:at].count(b"\n") + 1, (at, mask)


@pytest.mark.parametrize("line", range(5))
def test_a_removed_line_is_found(path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    found = verdict_of(path, lines[:line] + lines[line + 1 :])
    # Without the last line the rest is a shorter log, which only a digest that was noted can tell.
    assert found.bad_line == (line + 1 if line < 4 else 0)


@pytest.mark.parametrize("line", range(4))
def test_lines_that_changed_places_are_found(path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line], lines[line + 1] = lines[line + 1], lines[line]
    assert verdict_of(path, lines).bad_line == line + 1


def test_a_repeated_line_is_found(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    assert verdict_of(path, [*lines[:2], *lines[1:]]).bad_line == 3


def test_a_line_of_another_log_is_found(path: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other.log", events=4)
    other.append("left", "hospital-b")
    other.close()
    lines, others = (each.read_bytes().splitlines(keepends=True) for each in (path, tmp_path / "other.log"))
    assert verdict_of(path, [*lines[:4], *others[5:6]]).bad_line == 5


def test_a_cut_end_is_found_by_who_has_noted_the_head(path: Path) -> None:
    head = verify_log(path).head
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert verify_log(path).is_intact
    assert not verify_log(path, head).is_intact


def test_a_head_that_was_noted_is_found_again_after_the_log_has_grown(path: Path) -> None:
    head = verify_log(path).head
    make(path).close()
    found = verify_log(path, head)
    assert found.is_intact and found.records == 10


def test_every_way_to_cut_the_last_line_is_sealed_off_by_the_next_start(path: Path) -> None:
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start + 1, len(whole)):
        path.write_bytes(whole[:end])
        assert verify_log(path).bad_line == 5
        make(path, events=1).close()
        found = verify_log(path)
        # Of the longest, the end of the line alone is missing.
        assert found.is_intact and found.sealed == (end < len(whole) - 1)
        assert path.read_bytes().startswith(whole[:end])


def test_a_crash_while_sealing_is_sealed_off_as_well(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"\n" + whole[:30])
    make(path, events=1).close()
    assert verify_log(path).is_intact and verify_log(path).sealed == 1


def test_what_was_sealed_off_cannot_be_changed_later(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    make(path, events=1).close()
    sealed = path.read_bytes()
    path.write_bytes(sealed[: len(whole) - 20] + b"?" + sealed[len(whole) - 19 :])
    assert verify_log(path).bad_line == 5


def test_a_changed_log_is_not_gone_on_with(path: Path) -> None:
    changed = path.read_bytes().replace(b"hospital-a", b"hospital-b", 1)
    path.write_bytes(changed)
    with pytest.raises(ValueError, match="Line 2 .* begin another"):
        AuditLog(path)
    assert path.read_bytes() == changed


def test_one_process_writes_at_a_time(path: Path) -> None:
    log = make(path)
    with pytest.raises(BlockingIOError, match="Another process"):
        AuditLog(path)
    log.close()


def test_a_full_disk_stops_nobody_and_leaves_its_trace(path: Path, monkeypatch) -> None:
    log = AuditLog(path, lambda: NOON)
    write, room = os.write, [40]

    def fills(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(file, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr("keras_split.audit.log.os.write", fills)
    log.append("committed", "hospital-a")
    log.append("committed", "hospital-b")
    monkeypatch.undo()
    log.append("committed", "hospital-c")
    log.close()
    found = verify_log(path)
    assert found.is_intact and found.sealed == 1
    assert b'"event":"missing","party":"","facts":{"lines":2}' in path.read_bytes()
    assert b"hospital-b" not in path.read_bytes()


def test_a_name_of_any_letters_is_one_line(tmp_path: Path) -> None:
    log = make(tmp_path / "audit.log", events=0)
    log.append("joined", 'a"\n\ud800\u2028ß')
    log.close()
    assert verify_log(tmp_path / "audit.log").is_intact
    assert len((tmp_path / "audit.log").read_bytes().splitlines()) == 3


def test_the_command_tells_by_its_exit_code(path: Path) -> None:
    head = verify_log(path).head
    run = CliRunner().invoke
    good = run(main, ["log", "verify", str(path), "--head", head])
    assert good.exit_code == 0 and head in good.output.replace(" ", "")
    assert run(main, ["log", "verify", str(path), "--head", "0" * 64]).exit_code == 1
    path.write_bytes(path.read_bytes().replace(b"hospital-a", b"hospital-x", 1))
    bad = run(main, ["log", "verify", str(path)])
    assert bad.exit_code == 1 and "line 2" in bad.output
