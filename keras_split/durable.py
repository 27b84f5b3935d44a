"""Files that a power cut leaves as they were or whole: a name is given to what is on the disk already."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO, Any

# What a killed process leaves begins so, and nothing else does.
UNFINISHED = ".writing-"
_NO_ROOM = (errno.EDQUOT, errno.EFBIG, errno.ENOSPC)
_AS_USUAL = 0o777


def is_full(error: OSError) -> bool:
    """Whether there is no room: on the disk, or in a quota."""
    return error.errno in _NO_ROOM


@contextlib.contextmanager
def written(
    path: Path,
    mode: int = 0o600,
    *,
    beside: Path | None = None,
    renaming: AbstractContextManager[Any] | None = None,
) -> Iterator[IO[bytes]]:
    """Yields a file that takes its place behind the block, durable; an exception within leaves no trace.

    Args:
        path: Its place, in which there may be another.
        mode: Of the file, as far as the umask lets it.
        beside: Folder of the unfinished file, on the same disk. Default: where its place is.
        renaming: Entered around the moment in which it takes its place.
    """
    temporary = (beside or path.parent) / f"{UNFINISHED}{secrets.token_hex(8)}"
    try:
        with open(temporary, "xb", opener=partial(os.open, mode=mode)) as file:
            yield file
            sync(file)
        with renaming or nullcontext():
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Makes a folder, durable as well, and those above it; does nothing where it is.

    Args:
        path: The folder.
        mode: Its mode, as far as the umask lets it; those above have the usual one.
    """
    if path.is_dir():
        return
    make_folder(path.parent, _AS_USUAL)
    path.mkdir(mode=mode, exist_ok=True)
    sync_folder(path.parent)


def sync(file: IO[bytes]) -> None:
    """Brings what was written to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk; without this a new one may be lost in a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
