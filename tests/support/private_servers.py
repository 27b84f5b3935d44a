"""Private servers that are forks of the nursery, and so are there at once."""

from __future__ import annotations

import os
import signal
import subprocess

from keras_split.local import LocalServer
from support.nursery import ADDRESS, Child, nursery


class ForkedServer:
    """What `LocalServer` needs of a `subprocess.Popen`.

    Args:
        child: The process.
    """

    def __init__(self, child: Child):
        self._child = child

    @property
    def pid(self) -> int:
        return self._child.pid

    def poll(self) -> int | None:
        return self._child.code

    def wait(self, timeout: float | None = None) -> int:
        try:
            return self._child.wait(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired("a private server", timeout or 0.0) from None

    def terminate(self) -> None:
        self._child.send(signal.SIGTERM)

    def kill(self) -> None:
        self._child.send(signal.SIGKILL)


def fork_them() -> None:
    """From now on this process forks its private servers, as long as there is a nursery."""
    start = LocalServer._start

    def fork_or_start(server: LocalServer) -> object:
        return _fork(server) if os.environ.get(ADDRESS) else start(server)

    LocalServer._start = fork_or_start  # type: ignore[assignment, method-assign]


def _fork(server: LocalServer) -> ForkedServer:
    with open(server.folder / "log", "wb") as log, open(os.devnull) as nothing:
        files = [nothing.fileno(), log.fileno(), log.fileno()]
        return ForkedServer(nursery().start(server._command(), files, {}, stays=True))
