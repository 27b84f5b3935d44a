"""Clients that open calls and say nothing."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import grpc

from support.guarded import CALLS, SECONDS


class Silence:
    """Calls with a header and no message, or with the beginning of one.

    Args:
        channel: Of the client.
    """

    def __init__(self, channel: grpc.Channel):
        self._channel = channel
        self._over = threading.Event()

    def open(self, call: str, *frames: bytes) -> grpc.Call:
        """One more."""
        method = self._channel.stream_stream(call if "/" in call else f"/{CALLS[call].name}/{call}")
        return method(self._speak(frames))

    def _speak(self, frames: tuple[bytes, ...]) -> Iterator[bytes]:
        yield from frames
        self._over.wait()

    def end(self) -> None:
        """Half-closes all of them."""
        self._over.set()


def codes_of_ended(calls: list[grpc.Call], number: int) -> set[grpc.StatusCode]:
    """Waits until so many have ended, in whatever order; fails if it is one more or less."""
    codes = first_codes(calls, number)
    assert sum(call.is_active() for call in calls) == len(calls) - number
    return codes


def first_codes(calls: list[grpc.Call], number: int) -> set[grpc.StatusCode]:
    """Waits until so many have ended, in whatever order."""
    ended: queue.SimpleQueue[grpc.Call] = queue.SimpleQueue()
    for call in calls:
        call.add_done_callback(ended.put)
    return {ended.get(timeout=SECONDS).code() for _ in range(number)}
