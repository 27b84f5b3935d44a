"""How long a server waits for a client's bytes, and which waits are its own business.

Between two whole messages a client may compute for as long as it likes. Before the first message, within
one, and while a reply is taken, there is nothing to compute, and a wait holds a thread for nobody.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits, declared_bytes
from keras_split.errors import ProtocolError
from keras_split.transport.watch import Watched


@dataclass(frozen=True)
class Patience:
    """Deadlines for a client's bytes.

    Args:
        first_seconds: From the call's header to its first message.
        frame_seconds: From one frame of a message to the next, and for taking one of a reply.
        slowest_bytes_per_second: A whole message must come at least as fast, on top of `frame_seconds`.
    """

    first_seconds: float = 20.0
    frame_seconds: float = 30.0
    slowest_bytes_per_second: int = 1 << 16


class PatientRequests(Iterator[Any]):
    """A call's requests, each of which must come in time.

    Args:
        requests: From gRPC.
        watched: The call.
        patience: The deadlines.
        limits: Of messages.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        requests: Iterator[Any],
        watched: Watched,
        patience: Patience,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._requests = requests
        self._watched = watched
        self._patience = patience
        self._limits = limits
        self._clock = clock
        self._missing = 0
        self._awaited, self._seconds, self._whole_by = "its first message", patience.first_seconds, math.inf

    def __next__(self) -> Any:
        until = min(self._whole_by, self._clock() + self._seconds)
        with self._watched.waits_for(self._awaited, until):
            request = next(self._requests)
        self._follow(request)
        return request

    def _follow(self, request: Any) -> None:
        """What is awaited after one more request, or frame of one."""
        if isinstance(request, pb.Frame):
            self._follow_frame(request)
        else:
            self._awaited, self._seconds = "its next piece", self._patience.frame_seconds

    def _follow_frame(self, frame: pb.Frame) -> None:
        if frame.HasField("header"):
            self._missing = self._declared(frame.header)
            slowest = self._missing / self._patience.slowest_bytes_per_second
            self._whole_by = self._clock() + self._patience.frame_seconds + slowest
        self._missing -= len(frame.data)
        if self._missing > 0:
            self._awaited, self._seconds = "the rest of a message", self._patience.frame_seconds
        else:
            self._seconds = self._whole_by = math.inf

    def _declared(self, header: pb.Header) -> int:
        try:
            return declared_bytes(header, self._limits)
        except ProtocolError:
            return 0  # Who reads the message will refuse it.
