"""The process that has started this one, and speaks to it over standard input."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable


class Parent:
    """Words from the parent, one in a line.

    Args:
        gone: Called, on a thread of its own, once standard input ends: the parent has closed it, or has
            died, even of SIGKILL. So no process is left behind.
    """

    def __init__(self, gone: Callable[[], object]):
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._gone = gone
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_for(self, word: str) -> None:
        """Returns when the parent has said a word."""
        while self._words.get() != word:
            pass

    def _listen(self) -> None:
        for line in sys.stdin:
            self._words.put(line.strip())
        self._gone()
