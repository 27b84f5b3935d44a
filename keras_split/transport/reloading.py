"""Files that are replaced while a process runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Reloading(Generic[Value]):
    """Reads a folder again after its files have changed; to be asked from any thread.

    Args:
        folder: Where the files are.
        names: Which files to look at.
        read: Makes a value of them; None if it cannot. Files are replaced one by one, so it will see
            sets that do not belong together.
    """

    def __init__(self, folder: Path, names: Sequence[str], read: Callable[[], Value | None]):
        self._paths = [folder / name for name in names]
        self._read = read
        # Nothing has been seen yet: what was read before may have been replaced since.
        self._seen: list[tuple[int, ...]] | None = None
        self._lock = threading.Lock()

    def changed(self) -> Value | None:
        """The new value; None if there is none, or nothing has changed since the last time."""
        with self._lock:
            # Looked at before it is read, so that a change in between is found the next time.
            found = [_fingerprint(path) for path in self._paths]
            if found == self._seen:
                return None
            self._seen = found
            return self._read()


def _fingerprint(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size
