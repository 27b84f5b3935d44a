"""A process of the demonstration, as its parent sees it."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from keras_split.errors import ConnectionLost

_STOP_SECONDS = 10.0
_LAST_LINES = 4

# The child's name and a line that it has said; None at its end.
Said = tuple[str, str | None]


class Child:
    """Runs `python …`, and ends it with the `with` block.

    A child ends by itself when its standard input does (`Parent`), so that none outlives a parent that
    was killed.

    Args:
        name: For people, and in what it says.
        arguments: Behind `python`.
        log: For its standard error.
        said: Gets what it prints.
    """

    def __init__(self, name: str, arguments: Sequence[str], log: Path, said: queue.SimpleQueue[Said]):
        self.name = name
        self._log = log
        self._said = said
        with open(log, "wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                # A Ctrl-C in the terminal is for the parent, which then ends its children in order.
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process' number."""
        return self._process.pid

    def say(self, word: str) -> None:
        """One line; what a child that has ended does not hear, its end tells."""
        with contextlib.suppress(OSError):
            print(word, file=self._process.stdin, flush=True)

    def failed(self) -> ConnectionLost:
        """What to raise where it has ended too early."""
        lines = self._log.read_text(errors="replace").splitlines()
        end = " | ".join(line for line in lines[-_LAST_LINES:] if line.strip())
        return ConnectionLost(f"The process of {self.name} has ended. Its log ({self._log}) says: {end}")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._said.put((self.name, line.rstrip("\n")))
        self._said.put((self.name, None))


def listening(child: Child, said: queue.SimpleQueue[Said]) -> str:
    """`host:port` of a server, once it accepts calls.

    Args:
        child: `keras-split serve` or `keras-split store`, the only one that speaks by now.
        said: As given to it.

    Raises:
        ConnectionLost: It has ended; the text has the end of its log.
    """
    while True:
        _, line = said.get()
        if line is None:
            raise child.failed()
        if line.startswith("Listening on "):
            return line.split()[-1]
