"""What of a private body outlives its program: snapshots in a folder, and beside them what they are of."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_split.durable import make_folder, written
from keras_split.errors import ConnectionLost
from keras_split.state import CorruptState, Shelf, Ticket

_ADVICE = (
    "Bring the folder back from a backup, or call `connect('host:port', credentials=...)` if a server has "
    "the body."
)


@dataclass
class Kept:
    """Where a half finds the body that it was trained with, on the machine that trained both.

    Args:
        folder: Of the private server's snapshots.
        body: SHA-256 of the body's description, which is the name of its file there; empty until it is
            written.
    """

    folder: str
    body: str = ""

    @classmethod
    def from_config(cls, config: Any) -> Kept | None:
        """From a half's file, which may be of a half that has no such folder."""
        return cls(str(config["folder"]), str(config["body"])) if config else None

    def to_config(self) -> dict[str, str]:
        """JSON-ready."""
        return asdict(self)

    def write(self, body: dict[str, Any]) -> None:
        """Puts the description of the body into the folder."""
        text = json.dumps(body, sort_keys=True).encode()
        self.body = hashlib.sha256(text).hexdigest()
        make_folder(Path(self.folder))
        if not self._path.exists():
            with written(self._path) as file:
                file.write(text)

    def read(self, ticket: Ticket) -> tuple[dict[str, Any], list[np.ndarray]]:
        """The description of the body, and its variables as the ticket's snapshot has them.

        Raises:
            ConnectionLost: They are not here, or are not this user's.
        """
        self._check_folder()
        try:
            text = self._path.read_bytes()
            found = Shelf(Path(self.folder)).get(ticket)
        except (OSError, CorruptState) as error:
            raise self._lost(f"cannot be read ({type(error).__name__})") from None
        if hashlib.sha256(text).hexdigest() != self.body:
            raise self._lost("has another description of the body than the one that the half was saved with")
        body = json.loads(text)
        if found is None:
            raise self._lost(f"has no snapshot of update {ticket.version} with this half's ticket")
        return body, [found[0][name] for name in body["variables"]]

    def _check_folder(self) -> None:
        """Of another user's folder nothing is built: whoever sent a file would choose what."""
        try:
            found = os.stat(self.folder)
        except OSError:
            raise self._lost("is not on this machine") from None
        if found.st_uid != os.geteuid() or found.st_mode & stat.S_IWOTH:
            raise self._lost("belongs to another user or may be written by all")

    def _lost(self, reason: str) -> ConnectionLost:
        return ConnectionLost(
            f"This half was trained with a private server, whose folder {self.folder} {reason}. {_ADVICE}"
        )

    @property
    def _path(self) -> Path:
        # The digest is a file's word, and might lead out of the folder.
        return Path(self.folder) / f"{Path(self.body).name}.body"
