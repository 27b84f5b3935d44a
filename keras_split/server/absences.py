"""Members that have left since the last commit, as a server that is started again must know them.

A commit says who was away when it was made. Who leaves later makes none, and a new process would wait for it.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_split.durable import written
from keras_split.turns import Record

_log = logging.getLogger(__name__)


class Absences:
    """Keeps them in a file.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path):
        self._path = path
        self._known: tuple[int, list[str]] = (-1, [])
        self._lock = threading.Lock()

    def since(self, record: Record) -> list[str]:
        """Who was away at the end of the last process, which is what a commit says that came after it."""
        away = list(record.away)
        found = self._read()
        if isinstance(found, dict) and found.get("commit") == record.number:
            away = [str(each) for each in found.get("away", away)]
        self._known = record.number, away
        return away

    def note(self, record: Record, away: Callable[[], Sequence[str]]) -> None:
        """Writes who is away now, if that is news.

        A disk without room costs the next process some waiting, and nobody a turn.
        """
        with self._lock:
            now = record.number, list(away())
            if now == self._known or (now[0] != self._known[0] and now[1] == list(record.away)):
                return
            try:
                with written(self._path) as file:
                    file.write(json.dumps({"commit": now[0], "away": now[1]}).encode())
            except OSError as error:
                _log.warning("Who has left is not on the disk (%s).", error.strerror)
                return
            self._known = now

    def _read(self) -> Any:
        try:
            return json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return None
