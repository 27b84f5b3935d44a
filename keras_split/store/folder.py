"""Blobs on disk: whole and durable, or not there.

```
folder/<run>/<name>        a blob; `name` is the SHA-256 of its bytes
folder/.writing-*          what is being written
```
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from keras_split.codec import CHUNK_BYTES
from keras_split.durable import UNFINISHED, is_full, make_folder, written
from keras_split.errors import BlobMissing, ProtocolError, StoreFull
from keras_split.store.names import check_name, check_run, is_blob
from keras_split.store.room import Room

_DAY_SECONDS = 86_400.0
_log = logging.getLogger(__name__)


class BlobFolder:
    """A folder of immutable blobs, each named by the SHA-256 of its bytes.

    Any number of threads may use it. Whoever has the folder to itself holds it with `state.occupied`, which
    also clears away what a killed process left unfinished.

    Args:
        path: Made if it is missing, for its owner only.
        max_blob_bytes: Ceiling on one blob, written or read.
        max_total_bytes: Ceiling on all of them, with those that are being written.
        keep_days: Blobs that nobody has put for so long are dropped; None keeps all.
        is_shared: Others may read and write here as well, as far as the umask lets them.
    """

    def __init__(
        self,
        path: str | Path,
        max_blob_bytes: int,
        max_total_bytes: int,
        keep_days: float | None = None,
        is_shared: bool = False,
    ):
        self.path = Path(path)
        self.max_blob_bytes = max_blob_bytes
        self._keep_seconds = None if keep_days is None else keep_days * _DAY_SECONDS
        # Two writers of one blob must not both count its bytes.
        self._naming = threading.Lock()
        self._folder_mode, self._file_mode = (0o777, 0o666) if is_shared else (0o700, 0o600)
        make_folder(self.path, self._folder_mode)
        self._room = Room(max_total_bytes, sum(each.stat().st_size for each in self._blobs()))
        self.expire()

    @property
    def total_bytes(self) -> int:
        """Of all blobs, with those that are being written."""
        return self._room.used

    def put(self, run: str, name: str, pieces: Iterable[bytes]) -> bool:
        """Keeps a blob; it is durable when this returns.

        Args:
            run: Hex digits.
            name: SHA-256 of the blob, in hex.
            pieces: The blob, in order. Not read if the blob is there already.

        Returns:
            Whether the blob is new.

        Raises:
            ProtocolError: A name that is none, a blob above the ceiling, or bytes that are not `name`'s.
            StoreFull: No room, here or on the disk. All other blobs stay.
        """
        path = self._path(run, name)
        if self._is_whole(path, name) and self._renew(path):
            return False
        self.expire()
        try:
            self._write(path, name, pieces)
        except OSError as error:
            if not is_full(error):
                raise
            raise StoreFull(
                f"The disk of {self.path} is full: the blob was not kept, and those that are there stay. "
                "Make room, and put it again."
            ) from None
        return True

    def get(self, run: str, name: str) -> Iterator[bytes]:
        """A blob in pieces of a mebibyte. Whoever reads them checks the digest.

        Raises:
            ProtocolError: A name that is none, or a blob above the ceiling.
            BlobMissing: There is no such blob.
        """
        return self._pieces(run, name, self.size(run, name))

    def size(self, run: str, name: str) -> int:
        """Bytes of a blob; raises as `get` does."""
        with self._open(run, name) as file:
            size = os.fstat(file.fileno()).st_size
        if size > self.max_blob_bytes:
            raise ProtocolError(_above(self.max_blob_bytes))
        return size

    def has(self, run: str, name: str) -> bool:
        """Whether there is such a blob."""
        return self._path(run, name).is_file()

    def expire(self) -> None:
        """Drops what is older than `keep_days`, and what nobody can be writing any more."""
        self._sweep()
        if self._keep_seconds is None:
            return
        oldest = time.time() - self._keep_seconds
        for path in list(self._blobs()):
            if self._drop(path, oldest):
                _log.info("Dropped the blob %s of run %s: it is too old.", path.name[:12], path.parent.name)

    def drop(self, run: str, name: str) -> None:
        """Forgets a blob that nobody asks for any more, if it is there."""
        self._drop(self._path(run, name), math.inf)

    def _drop(self, path: Path, put_before: float) -> bool:
        with self._naming:
            try:
                found = path.stat()
                if found.st_mtime >= put_before:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
            self._room.give_back(found.st_size)
            return True

    def _sweep(self) -> None:
        """Of writers that were killed, in a folder that nobody holds to himself."""
        for rest in self.path.glob(f"{UNFINISHED}*"):
            with contextlib.suppress(OSError):
                if rest.stat().st_mtime < time.time() - _DAY_SECONDS:
                    rest.unlink()

    def _path(self, run: str, name: str) -> Path:
        return self.path / check_run(run) / check_name(name)

    def _blobs(self) -> Iterator[Path]:
        # What others have put into the folder is neither counted nor dropped.
        return (
            each for each in self.path.glob("*/*") if is_blob(each.parent.name, each.name) and each.is_file()
        )

    def _is_whole(self, path: Path, name: str) -> bool:
        """Whether the disk still has what was once put: a damaged blob may be put anew."""
        try:
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == name
        except FileNotFoundError:
            return False

    def _renew(self, path: Path) -> bool:
        """Has it count as put today, unless somebody has just dropped it."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        except PermissionError:
            pass  # Of another user of a shared folder.
        return True

    def _write(self, path: Path, name: str, pieces: Iterable[bytes]) -> None:
        renaming = self._renaming(path)
        with (
            self._room.taking() as take,
            written(path, self._file_mode, beside=self.path, renaming=renaming) as file,
        ):
            self._receive(file, name, pieces, take)

    def _receive(
        self, file: IO[bytes], name: str, pieces: Iterable[bytes], take: Callable[[int], None]
    ) -> None:
        hasher, left = hashlib.sha256(), self.max_blob_bytes
        for piece in pieces:
            left -= len(piece)
            if left < 0:
                raise ProtocolError(_above(self.max_blob_bytes))
            take(len(piece))
            hasher.update(piece)
            file.write(piece)
        if hasher.hexdigest() != name:
            raise ProtocolError(
                f"The bytes that came are not those of the blob {name[:12]}: nothing was kept."
            )

    @contextlib.contextmanager
    def _renaming(self, path: Path) -> Iterator[None]:
        make_folder(path.parent, self._folder_mode)
        with self._naming:
            before = path.stat().st_size if path.exists() else 0
            yield
            self._room.give_back(before)

    def _open(self, run: str, name: str) -> IO[bytes]:
        try:
            return open(self._path(run, name), "rb")
        except FileNotFoundError:
            raise BlobMissing(
                f"There is no blob {name[:12]} of run {run[:12]} here, or no longer. Another copy may be "
                "with its sender."
            ) from None

    def _pieces(self, run: str, name: str, size: int) -> Iterator[bytes]:
        with self._open(run, name) as file:
            while size > 0 and (piece := file.read(min(CHUNK_BYTES, size))):
                size -= len(piece)
                yield piece


def _above(ceiling: int) -> str:
    return f"The blob is above the ceiling of {ceiling:,} bytes (`--max-blob-mib` of the server or store)."
