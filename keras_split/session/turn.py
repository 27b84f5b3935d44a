"""The client's side of a turn: one stream, entered at the first need and resumed after it broke."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message
from keras_split.errors import ConnectionLost, RollbackDetected, SplitError, TurnLost
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
        self._member = ""

    @property
    def stream(self) -> Conversation | None:
        """The conversation of the moment; None before the first request and after a broken one."""
        return self._remote.streams.get("Train")

    def take(self, member: str, version: int) -> None:
        """Begins a granted turn of a run of several data owners, at the last commit.

        Args:
            member: This data owner.
            version: Updates that the server has applied at that commit, as a member has signed.

        Raises:
            RollbackDetected: The server has not come to that update.
            TurnLost: The server has gone on from there.
        """
        self.end()
        self._member = member
        with self.entered():
            pass  # To enter is all.
        found = self._position.version
        if found != version:
            self.end()
        if found > version:
            # What a former process of this member had sent, or a holder whose lease has ended.
            raise TurnLost(
                f"A commit came between the answer about the turn and its beginning: update {found} after "
                f"update {version}. Ask for the turn again."
            )
        if found < version:
            raise RollbackDetected(
                f"The server's part has seen {found} updates, and the newest envelope of "
                f"the run belongs to update {version}. Has the server lost its newest commit? Restore its "
                "folder from a backup."
            )

    @contextlib.contextmanager
    def entered(self) -> Iterator[Conversation]:
        """The turn's stream, which is of no use any more once something went wrong."""
        try:
            yield self._enter()
        except ConnectionLost as error:
            self._remote.drop("Train")
            self._remote.hang_up()
            raise self._remote.advised(error) from None
        except SplitError:
            self._remote.drop("Train")
            raise

    def ask(self, header: pb.Header, reply: str, *, keeps_turn: bool = False) -> Message:
        """Asks about the server's state, inside the turn if there is one, else in a turn of its own.

        Args:
            header: The request.
            reply: Content of the reply's header.
            keeps_turn: Whether a turn of its own goes on.
        """
        keeps_turn = keeps_turn or self._number != 0
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
            model=remote.model,
            client=self._client,
            topology_digest=remote.digest,
            turn=self._number,
            member=self._member,
        )
        message = stream.ask(pb.Header(begin=begin), (), ("begun",), remote.timeouts.join_seconds)
        begun = message.header.begun
        if self._member and not self._number:
            # The server went to the last commit, and this half has as well.
            self._position.go_to(begun.version, begun.lineage)
        self._number = begun.turn
        self._position.begin(begun)
        return stream
