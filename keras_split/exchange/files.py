"""Handing over through any file system that fsspec knows, such as an object store."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from typing import Any

import fsspec

from keras_split.errors import BlobMissing, ProtocolError
from keras_split.exchange.explained import explained
from keras_split.exchange.handover import Hint, check_size
from keras_split.exchange.limits import HandoverLimits
from keras_split.store.names import check_digest, check_name, check_run

# Where an object appears whole, when all of it has come. Anywhere else a reader could see half a file.
_WHOLE_OR_ABSENT = {"abfs", "abfss", "az", "gcs", "gs", "memory", "s3", "s3a"}


class FileHandover:
    """Puts and gets blobs of a file system.

    Args:
        url: Folder as fsspec writes it, such as `s3://bucket/prefix`.
        run: Hex digits.
        limits: Ceilings. Deadlines and repetitions are those of fsspec's library for the file system.
        storage: What that library takes: keys, a region, an end point. Empty to use its own configuration.

    Raises:
        ValueError: fsspec knows no such file system.
        ImportError: Its library is not installed.
    """

    address = ""

    def __init__(self, url: str, run: str, limits: HandoverLimits, storage: Mapping[str, Any] | None = None):
        self._files, root = fsspec.core.url_to_fs(url, **(storage or {}))
        self._folder = f"{root.rstrip('/')}/{check_run(run)}"
        self._limits = limits
        # Without what may stand before the host: a user's name and password.
        self._shown = f"{url.partition('://')[0]}://{root.rpartition('@')[2]}"

    def put(self, name: str, blob: bytes) -> None:
        """Keeps a blob, and reads it again to be sure."""
        check_digest(blob, check_name(name), "This side")
        if self._is_there(name, len(blob)):
            return
        with explained(self._shown):
            self._write(self._path(name), blob)
        self.get(name, len(blob))

    def get(self, name: str, size: int, hint: Hint | None = None) -> bytes:
        """Reads a blob, whoever made it."""
        del hint
        path, ceiling = self._path(check_name(name)), self._limits.ceiling(size)
        with explained(self._shown):
            try:
                # One byte more than is allowed, which tells a blob that is too large from one that is not.
                blob = self._files.cat_file(path, start=0, end=ceiling + 1)
            except FileNotFoundError as error:
                raise BlobMissing(f"There is no such blob in {self._shown}, or no longer.") from error
        check_size(len(blob), ceiling, self._shown)
        return check_digest(blob, name, self._shown)

    def close(self) -> None:
        """Its library keeps connections for others who use the same file system."""

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _is_there(self, name: str, size: int) -> bool:
        try:
            return bool(self.get(name, size))
        except (BlobMissing, ProtocolError):
            return False  # What a broken put has left is written over.

    def _write(self, path: str, blob: bytes) -> None:
        if _WHOLE_OR_ABSENT.intersection(_protocols(self._files)):
            return self._files.pipe_file(path, blob)
        self._files.makedirs(self._folder, exist_ok=True)
        temporary = f"{path}.writing-{secrets.token_hex(8)}"
        try:
            self._files.pipe_file(temporary, blob)
            self._files.mv(temporary, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._files.rm_file(temporary)
            raise


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)
