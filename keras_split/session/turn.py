"""The client's side of a turn: one stream, entered at the first need and resumed after it broke."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message
from keras_split.errors import ConnectionLost, SplitError
from keras_split.session.conversation import Conversation
from keras_split.session.position import Position
from keras_split.session.remote import Remote


class Turn:
    """The right to train, from the first request until `end`.

    Args:
        remote: The body.
        position: Where this half is.
    """

    def __init__(self, remote: Remote, position: Position):
        self._remote = remote
        self._position = position
        self._client = secrets.token_hex(8)
        self._number = 0

    @property
    def stream(self) -> Conversation | None:
        """The conversation of the moment; None before the first request and after a broken one."""
        return self._remote.streams.get("Train")

    @contextlib.contextmanager
    def entered(self) -> Iterator[Conversation]:
        """The turn's stream, which is of no use any more once something went wrong."""
        try:
            yield self._enter()
        except ConnectionLost as error:
            self._remote.streams.pop("Train", None)
            self._remote.hang_up()
            raise self._remote.advised(error) from None
        except SplitError:
            self._remote.streams.pop("Train", None)
            raise

    def ask(self, header: pb.Header, reply: str) -> Message:
        """Asks about the server's state, inside the turn if there is one, else in a turn of its own."""
        keeps_turn = self._number != 0
        try:
            return self._remote.persistently(lambda: self._ask_once(header, reply))
        finally:
            if not keeps_turn:
                self.end()

    def end(self) -> None:
        """Lets others train."""
        self._number = 0
        self._remote.end("Train")

    def _ask_once(self, header: pb.Header, reply: str) -> Message:
        with self.entered() as stream:
            return stream.ask(header, (), (reply,), self._remote.timeouts.state_seconds)

    def _enter(self) -> Conversation:
        if self.stream is None:
            self._remote.streams["Train"] = self._begun()
        return self._remote.streams["Train"]

    def _begun(self) -> Conversation:
        remote = self._remote
        stream = remote.converse("Train")
        begin = pb.Begin(
            model=remote.model, client=self._client, topology_digest=remote.digest, turn=self._number
        )
        message = stream.ask(pb.Header(begin=begin), (), ("begun",), remote.timeouts.join_seconds)
        self._number = message.header.begun.turn
        self._position.begin(message.header.begun)
        return stream
