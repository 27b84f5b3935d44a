"""Many inferences at once, or one update."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class ReadersWriter:
    """A lock for many readers or one writer; a waiting writer lets no further reader pass.

    Inference reads variables that a training step changes one after the other; a reader between two
    of these changes would see a model that never was.
    """

    def __init__(self) -> None:
        self._entrance = threading.Lock()
        self._none_left = threading.Condition()
        self._readers = 0

    @contextlib.contextmanager
    def read(self) -> Iterator[None]:
        """Together with other readers."""
        with self._entrance, self._none_left:
            self._readers += 1
        try:
            yield
        finally:
            with self._none_left:
                self._readers -= 1
                self._none_left.notify_all()

    @contextlib.contextmanager
    def write(self) -> Iterator[None]:
        """Alone."""
        with self._entrance:
            with self._none_left:
                self._none_left.wait_for(lambda: self._readers == 0)
            yield
