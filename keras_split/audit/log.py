"""Writes an audit log."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keras_split.audit.record import SEALED, Record, read, written
from keras_split.audit.verify import verify_log
from keras_split.durable import sync_folder
from keras_split.version import package_version

_CLOSED = -1
FORMAT = "keras_split.audit/1"
_log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class AuditLog:
    """Appends lines to a file, each of which has the digest of the one before.

    The chain goes on where an earlier process left it. A line that a crash cut short stays as it is, and the
    next one says how many bytes it has and their digest. A line that cannot be written (a full disk) stops
    nobody's training: the program's own log says so, and the next line that can be written says how many are
    missing. Thread-safe.

    Args:
        path: The file; made for its owner alone if it is missing.
        clock: The time.

    Raises:
        ValueError: The file was changed, or is something else.
        BlockingIOError: Another process writes it.
    """

    def __init__(self, path: Path | str, clock: Callable[[], datetime] = _now):
        self.path = Path(path)
        self._clock = clock
        self._lock = threading.Lock()
        self._missing = 0
        is_new = not self.path.exists()
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._number, self._head, self._torn = _taken_up(self.path, self._file)
            self.append("opened", facts={"format": FORMAT, "keras_split": package_version()}, durable=True)
            if is_new:
                sync_folder(self.path.parent)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def head(self) -> tuple[int, str]:
        """How many lines there are, and the digest of the last: for others to compare."""
        with self._lock:
            return self._number, self._head

    def append(
        self,
        event: str,
        party: str = "",
        facts: Mapping[str, Any] | None = None,
        *,
        durable: bool = False,
    ) -> None:
        """Writes one line.

        Args:
            event: What happened.
            party: Who did it.
            facts: JSON-ready details: sizes, numbers and digests, never contents.
            durable: Whether it is on the disk when this returns.
        """
        with self._lock:
            before = self._number
            try:
                self._account()
                before = self._number
                self._put(event, party, dict(facts or {}))
                if durable:
                    os.fsync(self._file)
            except OSError as error:
                self._missing += self._number == before
                _log.error("The audit log %s cannot be written (%s).", self.path, error.strerror)

    def close(self) -> None:
        """Ends the log for this process; may be repeated."""
        if self._file == _CLOSED:
            return
        self.append("closed", durable=True)
        with self._lock:
            os.close(self._file)
            # The number may soon be another file's.
            self._file = _CLOSED

    def _account(self) -> None:
        """For what is missing, and for the beginnings of lines that were not finished."""
        if self._torn:
            if not self._torn.endswith(b"\n"):
                self._write(b"\n")
            torn = self._torn
            self._put(SEALED, "", {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()})
        if self._missing:
            self._put("missing", "", {"lines": self._missing})
            self._missing = 0

    def _put(self, event: str, party: str, facts: dict[str, Any]) -> None:
        at = self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line, digest = written(Record(self._number, at, event, party, facts, self._head))
        self._write(line + b"\n")
        self._torn = b""
        self._number, self._head = self._number + 1, digest

    def _write(self, data: bytes) -> None:
        """Remembers what has come into the file of a line that may not be finished."""
        while data:
            done = os.write(self._file, data)
            self._torn, data = self._torn + data[:done], data[done:]


def _taken_up(path: Path, file: int) -> tuple[int, str, bytes]:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BlockingIOError(error.errno, "Another process writes this audit log", str(path)) from None
    found = verify_log(path)
    if _is_whole(found.torn):
        # All that the crash has cut off is the end of the line.
        os.write(file, b"\n")
        found = verify_log(path)
    if found.bad_line and not found.torn:
        raise ValueError(
            f"Line {found.bad_line} of the audit log {path} is not as it was written: {found.why}. Keep "
            "the file as it is, find out why, and begin another."
        )
    return found.records, found.head, found.torn


def _is_whole(torn: bytes) -> bool:
    try:
        read(torn)
    except ValueError:
        return False
    return True
