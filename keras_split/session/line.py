"""A session's connection: opened late, opened anew after it broke, and one for each process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import grpc

from keras_split.codec import Limits
from keras_split.errors import from_rpc
from keras_split.session.conversation import Conversation
from keras_split.transport import Credentials, Meter, open_channel, stub


class Line:
    """Calls to one server.

    The channel is opened at the first call and belongs to one process: a fork that inherits it opens
    its own.

    Args:
        target: `host:port`.
        credentials: This client's certificate and authority; None with `insecure`.
        insecure: Without TLS, on loopback only.
        limits: Ceilings on replies.
        when_opened: Called for each new channel, on which the streams of another are of no use.
    """

    def __init__(
        self,
        target: str,
        credentials: Credentials | None,
        *,
        insecure: bool,
        limits: Limits,
        when_opened: Callable[[], None],
    ):
        self.meter = Meter()
        self._target = target
        self._connection = (credentials, insecure)
        self._limits = limits
        self._when_opened = when_opened
        self._channel: grpc.Channel | None = None
        self._owner = 0

    def call(self, name: str, request: Any, seconds: float) -> Any:
        """Asks once.

        Raises:
            SplitError: The translated failure.
        """
        try:
            return stub(self._open(), name, self.meter)(request, timeout=seconds)
        except grpc.RpcError as error:
            raise from_rpc(error, self._target) from None

    def converse(self, name: str) -> Conversation:
        """Opens a stream."""
        return Conversation(stub(self._open(), name, self.meter), self._target, self._limits)

    def close(self) -> None:
        """Ends the connection; the next call opens another.

        A channel whose server went away tries again after longer and longer pauses, and until then
        fails every call with what it heard the last time. A new one looks at once.
        """
        channel, self._channel = self._channel, None
        if channel is not None and self._owner == os.getpid():
            channel.close()

    def _open(self) -> grpc.Channel:
        if self._channel is None or self._owner != os.getpid():
            credentials, insecure = self._connection
            self._channel = open_channel(self._target, credentials, insecure=insecure, limits=self._limits)
            self._owner = os.getpid()
            self._when_opened()
        return self._channel
