"""A line of a given bandwidth and delay between a client and its private server."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable

from keras_split import local

_PIECE = 1 << 14


class SlowServer(local.LocalServer):
    """A private server at the end of a slow line.

    Args:
        bandwidth_mbps: In each direction, in 10^6 bits per second.
        rtt_ms: Round trip in milliseconds, half of it each way.
    """

    def __init__(self, bandwidth_mbps: float, rtt_ms: float):
        self._bytes_per_second = 1e6 * bandwidth_mbps / 8
        self._delay_seconds = rtt_ms / 2e3
        self._line: SlowLine | None = None
        super().__init__()

    def address(self) -> str:
        """The line's near end."""
        address = super().address()
        if self._line is None:
            self._line = SlowLine(address, self._bytes_per_second, self._delay_seconds)
        return self._line.address


class SlowLine:
    """Forwards TCP, each piece after those before it have passed and the delay is over.

    It reads and writes on threads of the calling process, which costs that process some time.

    Args:
        target: `host:port`.
        bytes_per_second: In each direction.
        delay_seconds: In each direction.
    """

    def __init__(self, target: str, bytes_per_second: float, delay_seconds: float):
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._bytes_per_second = bytes_per_second
        self._delay_seconds = delay_seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        _run(self._accept)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._target)
            for source, sink in ((client, server), (server, client)):
                sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                under_way: queue.Queue[tuple[float, bytes]] = queue.Queue()
                _run(self._take, source, under_way)
                _run(self._deliver, under_way, sink)

    def _take(self, source: socket.socket, under_way: queue.Queue[tuple[float, bytes]]) -> None:
        free = 0.0
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                free = max(free, time.perf_counter()) + len(piece) / self._bytes_per_second
                under_way.put((free + self._delay_seconds, piece))
                # As a real line does, it takes no more than it can carry.
                _sleep_until(free)
        under_way.put((0.0, b""))

    def _deliver(self, under_way: queue.Queue[tuple[float, bytes]], sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # One end is gone, and the other will notice by itself.
            while (due_and_piece := under_way.get())[1]:
                _sleep_until(due_and_piece[0])
                sink.sendall(due_and_piece[1])
            sink.shutdown(socket.SHUT_WR)


def _sleep_until(moment: float) -> None:
    left = moment - time.perf_counter()
    if left > 0:
        time.sleep(left)


def _run(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()
