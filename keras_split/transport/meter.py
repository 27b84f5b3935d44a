"""Counts the bytes that go over the wire, as serialised."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any


class Meter:
    """Bytes sent and received by one side, over all of its calls."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self._lock = Lock()

    def serializer(self) -> Callable[[Any], bytes]:
        """For gRPC: turns a message into bytes and counts them."""

        def serialize(message: Any) -> bytes:
            data = message.SerializeToString()
            with self._lock:
                self.sent += len(data)
            return data

        return serialize

    def deserializer(self, kind: Any) -> Callable[[bytes], Any]:
        """For gRPC: turns bytes into a message of a kind and counts them."""

        def deserialize(data: bytes) -> Any:
            with self._lock:
                self.received += len(data)
            return kind.FromString(data)

        return deserialize
