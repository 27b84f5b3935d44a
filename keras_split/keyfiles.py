"""Private keys on disk: written for their owner alone, and read only while that holds."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from keras_split.durable import sync, sync_folder

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_key(path: Path, pem: bytes) -> None:
    """Writes a new file that nobody but its owner can read, durable when this returns.

    Raises:
        FileExistsError: `path` exists: a key is never overwritten.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(pem)
        sync(file)
    sync_folder(path.parent)


def read_key(path: Path) -> bytes:
    """Reads a private key.

    Raises:
        PermissionError: Other users of this machine can reach the file, so the key is no secret.
    """
    with open(path, "rb") as file:
        # Asked of the open file: the one at `path` could be another by the time it is read.
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if os.name == "posix" and mode & _OTHERS:
            raise PermissionError(
                f"Other users of this machine can reach the private key {path}. If nobody has read "
                f"it, run `chmod 600 {path}`; otherwise make a new one. Received: mode={mode:04o}."
            )
        return file.read()
