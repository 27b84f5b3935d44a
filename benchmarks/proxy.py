"""A TCP proxy that counts what passes: TLS, HTTP/2 and all, short of TCP's own headers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class CountingProxy:
    """Forwards connections on a port of its own to an address.

    It reads and writes on threads of the calling process, so it is not for timing.

    Args:
        target: `host:port`.
    """

    def __init__(self, target: str):
        self.bytes = {"up": 0, "down": 0}
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._run(self._accept)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._target)
            self._run(self._forward, client, server, "up")
            self._run(self._forward, server, client, "down")

    def _forward(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):  # One end is gone, and the other will notice by itself.
            while data := source.recv(1 << 18):
                self.bytes[way] += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    @staticmethod
    def _run(work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()
