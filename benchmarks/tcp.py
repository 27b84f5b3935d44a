"""Bandwidth and round trip of TCP over loopback, its two ends in two threads."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

_BLOCK = b"\0" * (1 << 20)


def megabits_per_second(mebibytes: int = 256) -> float:
    """Of one transfer, until the receiver has all of it."""

    def send(peer: socket.socket) -> None:
        for _ in range(mebibytes):
            peer.sendall(_BLOCK)
        peer.recv(1)

    def receive(peer: socket.socket) -> None:
        left = mebibytes * len(_BLOCK)
        while left:
            left -= len(peer.recv(len(_BLOCK)))
        peer.sendall(b"\0")

    return 8e-6 * mebibytes * len(_BLOCK) / _seconds_between(send, receive)


def round_trip_ms(times: int = 2000) -> float:
    """Of one byte, the mean of many."""

    def ask(peer: socket.socket) -> None:
        for _ in range(times):
            peer.sendall(b"\0")
            peer.recv(1)

    def answer(peer: socket.socket) -> None:
        for _ in range(times):
            peer.sendall(peer.recv(1))

    return 1e3 * _seconds_between(ask, answer) / times


def _seconds_between(ours: Callable[[socket.socket], None], theirs: Callable[[socket.socket], None]) -> float:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        for each in (near, far):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        other = threading.Thread(target=theirs, args=(far,))
        start = time.perf_counter()
        other.start()
        ours(near)
        other.join()
        return time.perf_counter() - start
