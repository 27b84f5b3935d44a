"""TLS of an older version: gRPC in Python always offers the newest, so something else has to speak."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def tunnel(number: int, folder: Path, version: ssl.TLSVersion) -> Iterator[int]:
    """A port here without TLS, whose bytes go on to port `number` in TLS of one version.

    Args:
        number: Of the server, on this machine.
        folder: Certificates of the client.
        version: Of TLS.
    """
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, number), daemon=True).start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, number: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            near, _ = listener.accept()
            far = context.wrap_socket(
                socket.create_connection(("127.0.0.1", number)), server_hostname="localhost"
            )
            threading.Thread(target=_pump, args=(near, far), daemon=True).start()


def _pump(near: socket.socket, far: ssl.SSLSocket) -> None:
    """Both ways in one thread: OpenSSL lets no two threads at one connection."""
    with near, far, contextlib.suppress(OSError):
        while True:
            readable, _, _ = select.select([near, far], [], [])
            if near in readable:
                data = near.recv(1 << 16)
                if not data:
                    return
                far.setblocking(True)
                far.sendall(data)
            far.setblocking(False)
            with contextlib.suppress(ssl.SSLWantReadError):
                while data := far.recv(1 << 16):
                    near.sendall(data)
                return
