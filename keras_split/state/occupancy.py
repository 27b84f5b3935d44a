"""A folder of files belongs to one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from keras_split.durable import UNFINISHED, make_folder


@contextlib.contextmanager
def occupied(folder: Path, what: str = "its snapshots") -> Iterator[None]:
    """Within, no other process that asks gets the folder; ends with the process at the latest.

    Two servers would drop each other's oldest snapshots, and each would resume from the other's newest.

    Args:
        folder: Made if it is missing, for its owner only.
        what: What a server keeps there, for the text of the error.

    Raises:
        OSError: Another process has it.
    """
    make_folder(folder)
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(
                f"Another server keeps {what} in {folder}. Stop that one, or give this one a "
                "folder of its own."
            ) from None
        for rest in folder.glob(f"{UNFINISHED}*"):
            # Of a process that was killed while it wrote.
            rest.unlink(missing_ok=True)
        yield
