"""Handing over through a store that speaks gRPC."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc

from keras_split._proto.v1 import store_pb2 as pb
from keras_split.codec import CHUNK_BYTES
from keras_split.errors import ConnectionLost, ProtocolError, from_rpc
from keras_split.exchange.handover import Hint, check_size, joined
from keras_split.exchange.limits import HandoverLimits
from keras_split.store.names import check_digest, check_name, check_run
from keras_split.transport import STORE, Meter, stub

Result = TypeVar("Result")
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0


class StoreHandover:
    """Puts and gets blobs of a `Store` service; see `keras-split store`.

    Args:
        target: `host:port`.
        run: Hex digits.
        open_channel: Opens a connection to the store; called again after it broke.
        limits: Ceilings and deadlines.
        retry_seconds: How long to try again; None for that of `limits`.
    """

    address = ""

    def __init__(
        self,
        target: str,
        run: str,
        open_channel: Callable[[], grpc.Channel],
        limits: HandoverLimits,
        retry_seconds: float | None = None,
    ):
        self.meter = Meter()
        self._target = target
        self._run = check_run(run)
        self._open_channel = open_channel
        self._limits = limits
        self._retry_seconds = limits.retry_seconds if retry_seconds is None else retry_seconds
        self._channel: grpc.Channel | None = None

    def put(self, name: str, blob: bytes) -> None:
        """Keeps a blob in the store."""
        check_digest(blob, check_name(name), "This side")
        self._repeated(lambda channel: self._put(channel, name, blob))

    def get(self, name: str, size: int, hint: Hint | None = None) -> bytes:
        """Fetches a blob from the store, whoever made it."""
        del hint
        check_name(name)
        return self._repeated(lambda channel: self._get(channel, name, size))

    def close(self) -> None:
        """Ends the connection; the next call opens another."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _put(self, channel: grpc.Channel, name: str, blob: bytes) -> None:
        call = stub(channel, "Put", self.meter, STORE)
        call(
            _pieces(pb.Blob(run=self._run, name=name, size=len(blob)), blob),
            timeout=self._limits.call_seconds,
        )

    def _get(self, channel: grpc.Channel, name: str, size: int) -> bytes:
        request = pb.GetRequest(run=self._run, name=name)
        call = stub(channel, "Get", self.meter, STORE)(request, timeout=self._limits.call_seconds)
        try:
            blob = _sent(call, self._limits.ceiling(size), self._target)
        finally:
            call.cancel()
        return check_digest(blob, name, self._target)

    def _repeated(self, attempt: Callable[[grpc.Channel], Result]) -> Result:
        """Tries again while the connection breaks."""
        end = time.monotonic() + self._retry_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._once(attempt)
            except ConnectionLost:
                self.close()  # It would go on to fail with what it heard last.
                if time.monotonic() + pause > end:
                    raise
            # Not all at the same moment, where many wait for one store.
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _once(self, attempt: Callable[[grpc.Channel], Result]) -> Result:
        channel = self._opened()
        try:
            return attempt(channel)
        except grpc.RpcError as error:
            raise from_rpc(error, self._target) from None

    def _opened(self) -> grpc.Channel:
        if self._channel is None:
            self._channel = self._open_channel()
        return self._channel


def _pieces(blob: pb.Blob, content: bytes) -> Iterator[pb.Piece]:
    yield pb.Piece(blob=blob)
    for start in range(0, len(content), CHUNK_BYTES):
        yield pb.Piece(data=content[start : start + CHUNK_BYTES])


def _sent(pieces: Iterator[pb.Piece], ceiling: int, source: str) -> bytes:
    """The blob that a store sends."""
    first = next(pieces, None)
    if first is None or not first.HasField("blob") or first.data:
        raise ProtocolError(f"{source} answered with something else than a blob.")
    check_size(first.blob.size, ceiling, source)
    return joined((piece.data for piece in pieces), ceiling, source)
