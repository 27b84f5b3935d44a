"""Python processes that are there in milliseconds: forks of one that has loaded TensorFlow and not used it.

Each is what a new process is once it has imported this package, which alone takes seconds. One such process
serves all workers of a test run, and the processes that they start.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import queue
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from support.environment import environment

START_SECONDS = 120
MOST_BYTES = 1 << 18
# Where it listens, for the processes of this run. Empty for those that are to start new processes only.
ADDRESS = "KERAS_SPLIT_TESTS_NURSERY"
_CLOSE_SECONDS = 30


class Child:
    """A process of the nursery; `pid` is there once it is born, `code` once it is over."""

    def __init__(self) -> None:
        self.pid = 0
        self.code: int | None = None
        self._born, self._over = threading.Event(), threading.Event()
        self._lock = threading.Lock()

    def send(self, number: int) -> bool:
        """A signal; returns whether it still ran."""
        with self._lock:
            if self.code is not None:
                return False
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return False  # The nursery knows, and has not said so yet.
            return True

    def wait(self, seconds: float | None = None) -> int:
        """The exit code, as `subprocess` has it.

        Raises:
            TimeoutError: It still runs.
        """
        if not self._over.wait(seconds):
            raise TimeoutError(f"Process {self.pid} still runs after {seconds} s.")
        assert self.code is not None
        return self.code

    def be_born(self, pid: int) -> None:
        self.pid = pid
        self._born.set()

    def until_born(self) -> None:
        if not self._born.wait(START_SECONDS):
            raise TimeoutError("The nursery starts no process.")

    def end(self, code: int) -> None:
        """The nursery has found its end."""
        with self._lock:
            self.code = code
        self._over.set()


class Nursery:
    """`python -m support.forking`, seen from one process.

    Args:
        address: Where it listens.
    """

    def __init__(self, address: str):
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.connect(_abstract(address))
        self._ordering = threading.Lock()
        # In the order in which they are born; both are the reader's, once an order is on its way.
        self._expected: queue.Queue[Child] = queue.Queue()
        self._children: dict[int, Child] = {}
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def start(
        self,
        arguments: Sequence[str],
        files: Sequence[int],
        variables: dict[str, str],
        folder: Path | None = None,
        *,
        stays: bool = False,
    ) -> Child:
        """A new process.

        Args:
            arguments: After `python`.
            files: Descriptors for its standard input, output and errors.
            variables: Its environment, besides that of this process.
            folder: To work in; by default that of this process.
            stays: It ends by itself when this process does; all others are killed then.
        """
        order = {
            "arguments": list(arguments),
            "variables": {**environment(), **variables},
            "folder": str(folder or Path.cwd()),
            "owner": os.getpid(),
            "stays": stays,
        }
        child = Child()
        with self._ordering:
            self._expected.put(child)
            socket.send_fds(self._line, [json.dumps(order).encode()], list(files))
        child.until_born()
        return child

    def close(self) -> None:
        """Ends all that was started for this process, but for what stays."""
        self._line.shutdown(socket.SHUT_WR)
        self._reader.join(_CLOSE_SECONDS)
        self._line.close()

    def _listen(self) -> None:
        while said := self._line.recv(MOST_BYTES):
            self._hear(json.loads(said))

    def _hear(self, said: dict[str, int]) -> None:
        if "born" in said:
            child = self._children[said["born"]] = self._expected.get_nowait()
            child.be_born(said["born"])
        else:
            self._children.pop(said["ended"]).end(said["code"])


@functools.cache
def nursery() -> Nursery:
    """The one of this process."""
    open_nursery()
    made = Nursery(os.environ[ADDRESS])
    atexit.register(made.close)
    return made


def open_nursery() -> None:
    """Starts what all processes of this run fork from, unless it is there; it ends with this process."""
    if os.environ.get(ADDRESS):
        return
    address = f"keras-split-{secrets.token_hex(8)}"
    ours, theirs = socket.socketpair()
    with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        # Who connects early waits until all is loaded.
        listener.bind(_abstract(address))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "support.forking", str(listener.fileno()), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno(), theirs.fileno()],
            env=environment(),
        )
    os.environ[ADDRESS] = address
    atexit.register(_end, process, ours)


def _end(process: subprocess.Popen[bytes], owner: socket.socket) -> None:
    # At once, though it may be loading still; those that serve lines see to the end of theirs.
    process.kill()
    process.wait(_CLOSE_SECONDS)
    owner.close()


def _abstract(address: str) -> str:
    """In Linux' own namespace, where nothing is left behind in a folder."""
    return f"\0{address}"
