"""Handing over through a folder that all data owners can reach, such as a network share."""

from __future__ import annotations

from pathlib import Path

from keras_split.exchange.explained import explained
from keras_split.exchange.handover import Hint, joined
from keras_split.exchange.limits import NO_CEILING, HandoverLimits
from keras_split.store import BlobFolder, check_run
from keras_split.store.names import check_digest


class FolderHandover:
    """Puts and gets blobs of a mounted folder.

    Unlike other file systems of fsspec, this one can say when bytes are on the disk: a blob survives a power
    cut from the moment when `put` returns.

    Args:
        path: The folder; made if it is missing.
        run: Hex digits.
        limits: Ceilings.
    """

    address = ""

    def __init__(self, path: Path, run: str, limits: HandoverLimits):
        self._run = check_run(run)
        self._limits = limits
        self._folder = BlobFolder(path, limits.max_blob_bytes, NO_CEILING, is_shared=True)
        self._shown = str(path)

    def put(self, name: str, blob: bytes) -> None:
        """Keeps a blob in the folder."""
        with explained(self._shown):
            self._folder.put(self._run, name, [blob])

    def get(self, name: str, size: int, hint: Hint | None = None) -> bytes:
        """Reads a blob of the folder, whoever made it."""
        del hint
        with explained(self._shown):
            blob = joined(self._folder.get(self._run, name), self._limits.ceiling(size), self._shown)
        return check_digest(blob, name, self._shown)

    def close(self) -> None:
        """There is nothing to end."""
