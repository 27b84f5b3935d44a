"""Requests and replies on one long-lived stream, each with a deadline."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import grpc
import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits, Message, pack, unpack
from keras_split.errors import ConnectionLost, DeadlineExceeded, ProtocolError, from_rpc

_WATCH_SECONDS = 0.2


class Conversation:
    """One open stream.

    Args:
        open_stream: gRPC's stream-stream stub.
        target: For the texts of errors.
        limits: Ceilings on replies.
    """

    def __init__(self, open_stream: Callable[[Iterator[pb.Frame]], Any], target: str, limits: Limits):
        self._requests: queue.SimpleQueue[pb.Frame | None] = queue.SimpleQueue()
        self._open_stream = open_stream
        self._call: Any = None
        self._target = target
        self._limits = limits
        self._count = 0
        self._deadline = _Deadline(self._cancel)

    def ask(
        self, header: pb.Header, tensors: Sequence[np.ndarray], replies: Collection[str], seconds: float
    ) -> Message:
        """Sends a request and waits for its reply.

        Args:
            header: With its content set.
            tensors: The request's.
            replies: The contents of which the reply's header must have one.
            seconds: Until when.

        Raises:
            SplitError: The stream is of no use afterwards.
        """
        self._count += 1
        header.request = self._count
        try:
            if self._call is None:
                # Not before there is something to say: a server waits for it, though not for long.
                self._call = self._open_stream(iter(self._requests.get, None))
            for frame in pack(header, tensors):
                self._requests.put(frame)
            with self._deadline.within(seconds):
                return self._checked(self._read(seconds), replies)
        except BaseException:
            self.abandon()
            raise

    def close(self) -> None:
        """Tells the server that no request follows, and waits for its goodbye."""
        self._requests.put(None)
        try:
            with self._deadline.within(1.0):
                next(self._call or iter(()), None)
        except grpc.RpcError:
            pass  # It is over either way.
        self._deadline.stop()

    def abandon(self) -> None:
        """Ends the call here and at the server, where each would otherwise wait for the other with a thread.

        May be repeated.
        """
        self._deadline.stop()
        self._cancel()
        self._requests.put(None)

    def _cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()

    def _checked(self, message: Message, replies: Collection[str]) -> Message:
        if message.header.WhichOneof("content") not in replies or message.header.request != self._count:
            raise ProtocolError(f"{self._target} sent an answer to another question.")
        return message

    def _read(self, seconds: float) -> Message:
        try:
            message = unpack(self._call, self._limits)
        except grpc.RpcError as error:
            if self._deadline.expired:
                raise DeadlineExceeded(
                    f"{self._target} did not answer within {seconds:g} s. Is it overloaded, or the "
                    "line cut? Raise the `Timeouts` of this client if the work takes this long."
                ) from None
            raise from_rpc(error, self._target) from None
        if message is None:
            raise ConnectionLost(f"{self._target} ended the conversation.")
        return message


class _Deadline:
    """Cancels a call that lasts too long.

    gRPC has deadlines for whole calls only, and a stream lives as long as its turn. A thread that looks
    a few times a second costs a step nothing, unlike a timer that is set for each.
    """

    def __init__(self, cancel: Callable[[], Any]):
        self.expired = False
        self._cancel = cancel
        self._until: float | None = None
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="deadline").start()

    def within(self, seconds: float) -> _Deadline:
        """For a `with` statement."""
        self._until = time.monotonic() + seconds
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        self._until = None

    def stop(self) -> None:
        """Nothing is left to watch."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(_WATCH_SECONDS):
            until = self._until
            if until is not None and time.monotonic() > until:
                self.expired = True
                self._cancel()
                return
