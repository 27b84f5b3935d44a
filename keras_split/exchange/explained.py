"""What goes wrong in a file system, as an error that tells what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from keras_split.durable import is_full
from keras_split.errors import ConnectionLost, Refused, SplitError, StoreFull


@contextlib.contextmanager
def explained(shown: str) -> Iterator[None]:
    """Within, every exception becomes one of ours; each library of fsspec has some of its own.

    Args:
        shown: The file system, for the text.
    """
    try:
        yield
    except SplitError:
        raise
    except Exception as error:
        raise _translated(error, shown) from error


def _translated(error: Exception, shown: str) -> SplitError:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if isinstance(error, PermissionError):
        return Refused(f"{shown} does not let this data owner in ({reason}). Check its keys and rights.")
    if isinstance(error, OSError) and is_full(error):
        return StoreFull(f"{shown} is full ({reason}). The blobs that are there stay.")
    return ConnectionLost(f"{shown} cannot be used now ({reason}). Check the address and the line.")
