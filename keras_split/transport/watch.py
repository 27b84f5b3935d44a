"""Ends calls whose other side takes too long; gRPC has deadlines for whole calls only.

A thread that waits inside gRPC cannot be woken with a time-out, so one thread looks at all calls a few
times a second. That costs a step nothing, unlike a timer for each wait.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator

_LOOK_SECONDS = 0.2
_log = logging.getLogger(__name__)


class Watched:
    """A call, and until when what it waits for must have come.

    Args:
        what: The call and the caller, for the log.
        cancel: Ends it, from any thread.
    """

    def __init__(self, what: str, cancel: Callable[[], object]):
        self._what = what
        self._cancel = cancel
        self._waits_for = ""
        self._until = math.inf

    @contextlib.contextmanager
    def waits_for(self, what: str, until: float) -> Iterator[None]:
        """For a `with` statement around the wait.

        Args:
            what: For the log.
            until: On the monotonic clock, in seconds; infinity for no limit.
        """
        self._waits_for, self._until = what, until
        try:
            yield
        finally:
            self._until = math.inf

    def look(self, now: float) -> None:
        """Ends the call if its time is over."""
        if now > self._until:
            self._until = math.inf
            _log.warning("%s was ended: %s did not come in time.", self._what, self._waits_for)
            self._cancel()


class Watch:
    """Looks at all calls of a server."""

    def __init__(self) -> None:
        self._calls: set[Watched] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Looks from now on, in a thread."""
        threading.Thread(target=self._run, daemon=True, name="watch").start()

    def stop(self) -> None:
        """Nothing is left to watch."""
        self._stopped.set()

    @contextlib.contextmanager
    def over(self, call: Watched) -> Iterator[Watched]:
        """Looks at a call as long as the `with` statement lasts."""
        with self._lock:
            self._calls.add(call)
        try:
            yield call
        finally:
            with self._lock:
                self._calls.discard(call)

    def look(self, now: float) -> None:
        """Once, at all of them."""
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.look(now)

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            self.look(time.monotonic())
