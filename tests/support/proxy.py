"""A line between client and server that breaks when a test wants it to."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Literal

Direction = Literal["up", "down"]
_PIECE = 1 << 16


class Proxy:
    """Forwards TCP connections to a server, byte for byte until told otherwise.

    Args:
        target: `host:port` of the server.

    Attributes:
        sent_up: All that clients have sent.
        sent_down: All that the server has.

    Example:
        `proxy.after("up", 300, proxy.cut)` breaks the line 300 bytes further upstream.
    """

    def __init__(self, target: str):
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._lines: list[_Line] = []
        self._trap: _Trap | None = None
        self.sent_up, self.sent_down = bytearray(), bytearray()
        self.delay_seconds = 0.0
        self.connections = 0
        self.refuses = False
        self.swallows = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where clients connect to."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def after(self, direction: Direction, count: int, action: Callable[[], object]) -> None:
        """Lets `count` more bytes pass in a direction, and does something before the next one."""
        with self._lock:
            self._trap = _Trap(direction, count, action)

    def cut(self) -> None:
        """Breaks all connections, as a router does that has been restarted."""
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            line.reset()

    def swallow(self) -> None:
        """Nothing arrives from now on, the end of a connection neither, and nobody is told."""
        self.swallows = True

    def refuse(self) -> None:
        """Breaks all connections, and accepts no others."""
        self.refuses = True
        self.cut()

    def mend(self) -> None:
        """Takes everything back, and counts connections anew."""
        with self._lock:
            self._trap = None
        self.delay_seconds, self.refuses, self.swallows = 0.0, False, False
        self.connections = 0

    def close(self) -> None:
        self.refuse()
        # Closing alone would leave the thread inside accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        if self.refuses:
            return _reset(client)
        try:
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            return _reset(client)
        server.settimeout(None)
        line = _Line(client, server)
        with self._lock:
            self._lines.append(line)
        for direction, source, sink in (("up", client, server), ("down", server, client)):
            pump = threading.Thread(target=self._pump, args=(direction, source, sink), daemon=True)
            pump.start()

    def _pump(self, direction: Direction, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                self._forward(direction, piece, sink)
            # Otherwise one side's pings would tell the other of a hole.
            if not self.swallows:
                sink.shutdown(socket.SHUT_WR)

    def _forward(self, direction: Direction, piece: bytes, sink: socket.socket) -> None:
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        recorded = self.sent_up if direction == "up" else self.sent_down
        recorded += piece
        passing, action = self._sprung(direction, piece)
        if not self.swallows:
            sink.sendall(piece[:passing])
        if action is not None:
            action()
            if not self.swallows:
                sink.sendall(piece[passing:])

    def _sprung(self, direction: Direction, piece: bytes) -> tuple[int, Callable[[], object] | None]:
        """How much of a piece passes before the trap's action, if it is time for that."""
        with self._lock:
            trap = self._trap
            if trap is None or trap.direction != direction:
                return len(piece), None
            if trap.count >= len(piece):
                trap.count -= len(piece)
                return len(piece), None
            self._trap = None
            return trap.count, trap.action


class _Trap:
    def __init__(self, direction: Direction, count: int, action: Callable[[], object]):
        self.direction = direction
        self.count = count
        self.action = action


class _Line:
    def __init__(self, client: socket.socket, server: socket.socket):
        self._ends = (client, server)

    def reset(self) -> None:
        for end in self._ends:
            _reset(end)


def _reset(end: socket.socket) -> None:
    """Closes at once, with an error at the other end."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wakes a pump that reads from it.
        end.shutdown(socket.SHUT_RD)
    end.close()
