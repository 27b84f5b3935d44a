"""Server processes for tests: started for real, and ended whatever happens."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from keras_split import Credentials
from keras_split import Server as PlaceOfBodies
from keras_split._proto.v1 import split_pb2 as pb
from keras_split.session import Session
from support.gate import Gate
from support.nursery import START_SECONDS, nursery

STOP_SECONDS = 100
_READY = "Listening on "


class Process:
    """A Python process whose output is watched.

    Args:
        arguments: After `python`.
        log: File for what it prints to stderr.
        variables: Environment variables besides those of this process.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        variables: dict[str, str] | None = None,
    ):
        self._log = log
        heard, self._input = _pipe()
        self._output, said = _pipe()
        with heard, said, open(log, "ab") as errors:
            files = [each.fileno() for each in (heard, said, errors)]
            self._child = nursery().start(arguments, files, variables or {})
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def runs(self) -> bool:
        return self._child.code is None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def say(self, line: str) -> None:
        """Writes a line to its standard input."""
        self._input.write(f"{line}\n".encode())

    def line(self, start: str, seconds: float = START_SECONDS) -> str:
        """What follows `start` in the next line that begins so; fails if the process ends first."""
        while True:
            line = self._lines.get(timeout=seconds)
            assert line is not None, f"The process ended before {start!r}. Its log:\n{self.log}"
            if line.startswith(start):
                return line[len(start) :].strip()

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code."""
        return self._child.wait(seconds)

    def terminate(self) -> None:
        self._child.send(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, which nothing can soften."""
        self._child.send(signal.SIGKILL)

    def pause(self) -> None:
        """The process is there, and does nothing."""
        self._child.send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._child.send(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self.wait()
        self._reader.join(STOP_SECONDS)
        self._input.close()
        self._output.close()

    def _read(self) -> None:
        for line in self._output:
            self._lines.put(line.decode())
        self._lines.put(None)


class Server(Process):
    """`keras-split serve`.

    Args:
        pki: Folder with certificates, as `keras_split.certs.create` makes it.
        folder: For the log and the snapshots.
        source: `package.module:function`.
        cut: Of the model.
        options: Further options of the command.
        port: 0 picks one.
    """

    def __init__(
        self,
        pki: Path,
        folder: Path,
        source: str,
        cut: str,
        *options: str,
        port: int = 0,
    ):
        self.checkpoints = folder / "checkpoints"
        self.gate = Gate(folder / "gate")
        self._pki = pki
        self._address = ""
        command = ["-m", "keras_split", "serve", source, "--cut", cut, "--port", str(port)]
        tls = ["--certificates", str(pki / "server")]
        state = ["--checkpoint-dir", str(self.checkpoints)]
        super().__init__([*command, *tls, *state, *options], folder / "server.log", self.gate.variables)

    @property
    def address(self) -> str:
        """`host:port`, once the server accepts calls."""
        self._address = self._address or self.line(_READY)
        return self._address

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def observer(self) -> Session:
        """Asks for the server's status, on a connection of its own."""
        return Session(self.address, self.credentials())

    def status(self) -> pb.StatusReply:
        """Asked once; who asks more often keeps an `observer`."""
        with contextlib.closing(self.observer()) as observer:
            return observer.status()

    def credentials(self, client: str = "owner") -> Credentials:
        return Credentials.from_directory(self._pki / client)


class BodyServer(Process):
    """`keras-split serve --accept-bodies`.

    Args:
        pki: Folder with certificates, as `keras_split.certs.create` makes it.
        folder: For the log, and for the server's temporary files in `folder/temporary`.
        options: Further options of the command.
    """

    def __init__(self, pki: Path, folder: Path, *options: str):
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._pki = pki
        self._address = ""
        command = ["-m", "keras_split", "serve", "--accept-bodies", "--port", "0"]
        tls = ["--certificates", str(pki / "server")]
        variables = {"TMPDIR": str(self.temporary)}
        super().__init__([*command, *tls, *options], folder / "server.log", variables)

    @property
    def address(self) -> str:
        """`host:port`, once the server accepts calls."""
        self._address = self._address or self.line(_READY)
        return self._address

    def place(self, client: str = "owner") -> PlaceOfBodies:
        """What `SplitModel(..., server=...)` takes."""
        return PlaceOfBodies(self.address, Credentials.from_directory(self._pki / client))


def is_running(pid: int) -> bool:
    """Whether there is such a process, zombies left aside."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def children_of(pid: int) -> list[int]:
    """Processes that a process has started and that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and is_running(int(entry.name)) and _parent(entry) == pid:
            found.append(int(entry.name))
    return found


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    """Where to read, and where to write."""
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=0)
