"""The snapshots that a server keeps, one file per ticket."""

from __future__ import annotations

import logging
import re
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from keras_split.durable import make_folder, sync_folder
from keras_split.state import file
from keras_split.state.bundle import Bundle
from keras_split.state.format import CorruptState

_NAME = re.compile(r"^(\d{12})-([0-9a-f]{16})\.state$")
_log = logging.getLogger(__name__)


class Ticket(NamedTuple):
    """Stands for one state of the server's part.

    Args:
        version: Updates that the state had seen.
        nonce: Tells apart states of the same version in different histories.
    """

    version: int
    nonce: int


class Shelf:
    """Keeps the latest snapshots in a folder.

    Args:
        folder: Created if need be, for its owner only.
        keep: How many; the oldest go first. A client that comes back with the ticket of a snapshot
            that has gone is refused.
        in_one_line: Nobody goes back to an earlier version, so that tickets tell what is newer. A clock
            that is set back does not matter then.
    """

    def __init__(self, folder: Path, keep: int = 50, *, in_one_line: bool = False):
        self.folder = folder
        self._keep = keep
        self._in_one_line = in_one_line
        make_folder(folder)

    def put(self, bundle: Bundle, version: int, metadata: dict[str, Any], nonce: int | None = None) -> Ticket:
        """Stores a state durably, and returns its ticket.

        Args:
            bundle: The state.
            version: Updates that it has seen.
            metadata: JSON-ready.
            nonce: In one line, greater than those before; by default at random.
        """
        ticket = Ticket(version, secrets.randbits(63) if nonce is None else nonce)
        file.save(self._path(ticket), bundle, {**metadata, "version": version})
        self._prune()
        return ticket

    def get(self, ticket: Ticket) -> tuple[Bundle, dict[str, Any]] | None:
        """The state behind a ticket; None if this shelf does not hold it."""
        path = self._path(ticket)
        return file.load(path) if path.exists() else None

    def latest(self) -> tuple[Ticket, Bundle, dict[str, Any]] | None:
        """The newest state that is intact; None on an empty shelf.

        Raises:
            CorruptState: There are states, and none can be read: to begin anew silently would lose
                what was trained.
        """
        # Whoever goes on from what is found here relies on it, also after a power cut.
        sync_folder(self.folder)
        paths = self._paths()
        for path in reversed(paths):
            try:
                return (_ticket(path), *file.load(path))
            except CorruptState as error:
                _log.error("%s The snapshot before it is tried.", error)
        if paths:
            raise CorruptState(
                f"None of the {len(paths)} snapshots in {self.folder} can be read. Restore the folder "
                "from a backup, or give an empty one to begin anew."
            )
        return None

    def _path(self, ticket: Ticket) -> Path:
        return self.folder / f"{ticket.version:012d}-{ticket.nonce & (2**64 - 1):016x}.state"

    def _paths(self) -> list[Path]:
        """Oldest first; by time if after a return to an earlier version versions count anew."""
        named = (path for path in self.folder.iterdir() if _NAME.match(path.name))
        if self._in_one_line:
            return sorted(named)
        return sorted(named, key=lambda path: path.stat().st_mtime_ns)

    def _prune(self) -> None:
        for path in self._paths()[: -self._keep]:
            path.unlink(missing_ok=True)
            _log.info("Dropped the oldest snapshot, %s.", path.name)


def _ticket(path: Path) -> Ticket:
    version, nonce = path.stem.split("-")
    return Ticket(int(version), int(nonce, 16))
