"""The package's private server on a core of the benchmark's choice."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks import machine
from benchmarks.proxy import CountingProxy
from keras_split import local


class BenchmarkServer(local.LocalServer):
    """A private server; unchanged but for where it runs, unless it records or counts.

    Args:
        core: Where; None for anywhere.
        marks: File of `recording.create` for the server's marks; None to leave it as it is.
        counts: Reach it through a proxy that counts bytes.
    """

    def __init__(self, core: int | None, *, marks: Path | None = None, counts: bool = False):
        self._core = core
        self._marks = marks
        self._counts = counts
        self._proxy: CountingProxy | None = None
        super().__init__()

    def socket_bytes(self) -> dict[str, int]:
        """Bytes so far, `up` from the client and `down` to it; zeros without `counts`."""
        return self._proxy.bytes if self._proxy else {"up": 0, "down": 0}

    def _command(self) -> list[str]:
        if self._marks is None:
            return super()._command()
        return ["-m", "benchmarks.recorded_server", str(self.folder), str(os.getpid()), str(self._marks)]

    def _start(self) -> subprocess.Popen[bytes]:
        with machine.pinned(self._core):
            return super()._start()

    def address(self) -> str:
        """The proxy's, where bytes are counted."""
        address = super().address()
        if not self._counts:
            return address
        if self._proxy is None:
            self._proxy = CountingProxy(address)
        return self._proxy.address


def use_for_all(server: BenchmarkServer) -> None:
    """Makes it the one that every SplitModel of this process uses."""
    local._shared[local._current()] = server
