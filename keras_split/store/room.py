"""How many bytes there may be, shared by all who write at the same time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from keras_split.errors import StoreFull


class Room:
    """Counts bytes up to a ceiling.

    Args:
        ceiling: Bytes.
        used: Those that are taken from the beginning.
    """

    def __init__(self, ceiling: int, used: int = 0):
        self._ceiling = ceiling
        self._used = used
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes taken."""
        return self._used

    @contextlib.contextmanager
    def taking(self) -> Iterator[Callable[[int], None]]:
        """Yields a function that takes bytes; an exception within gives all of them back.

        The function raises `StoreFull` where fewer are left than it is asked for.
        """
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            self._take(count)
            taken += count

        try:
            yield take
        except BaseException:
            self.give_back(taken)
            raise

    def give_back(self, count: int) -> None:
        """Takes back what was taken."""
        with self._lock:
            self._used -= count

    def _take(self, count: int) -> None:
        with self._lock:
            if self._used + count > self._ceiling:
                raise StoreFull(
                    f"There is no room for {count:,} more bytes: {self._used:,} of {self._ceiling:,} are "
                    "taken. Raise the ceiling (`--max-total-mib`), or have a store let old blobs go "
                    "(`--keep-days`)."
                )
            self._used += count
