"""One body on one server: its name there, what was agreed about it, and the ways to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits
from keras_split.errors import ConnectionLost, SplitError
from keras_split.naming import topology_digest
from keras_split.peer import check_peer, this_peer
from keras_split.session.conversation import Conversation
from keras_split.session.joined import Joined
from keras_split.session.line import Line
from keras_split.session.persistence import persistently
from keras_split.session.prepared import Exchange, Prepared
from keras_split.session.timeouts import Timeouts
from keras_split.transport import Credentials

T = TypeVar("T")


class Remote:
    """What all calls of a session have in common.

    Its arguments are those of `Session`.
    """

    def __init__(
        self,
        target: str,
        credentials: Credentials | None,
        *,
        insecure: bool,
        timeouts: Timeouts,
        limits: Limits,
        advice: str,
    ):
        self.target = target
        self.timeouts = timeouts
        self.model = ""
        self.digest = ""
        # Open conversations by call; those that a fork inherits are its parent's.
        self.streams: dict[str, Conversation] = {}
        self._advice = advice
        self._known: set[str] = set()
        self._line = Line(
            target, credentials, insecure=insecure, limits=limits, when_opened=self.streams.clear
        )
        self.meter = self._line.meter

    def host(self, body: dict[str, Any], state: Sequence[np.ndarray], folder: str) -> None:
        """Places a body on a server that accepts it, for as long as this connection holds.

        Once it is placed, tells what has changed of it: another description, and values of some variables.
        """
        hosting = self.streams.get("Host") or self.converse("Host")
        header = pb.Header(host=pb.Host(body_json=json.dumps(body), checkpoint_directory=folder))
        reply = hosting.ask(header, state, ("hosted",), self.timeouts.state_seconds)
        self.model = reply.header.hosted.model
        self.streams["Host"] = hosting
        # What has been described anew is asked for by its new name, from the next exchange on.
        self.digest = topology_digest(body["topology"])

    def join(self, settings: dict[str, Any] | None) -> Joined:
        """Says hello; with settings, to compile the body anew."""
        # A body that is compiled anew forgets what was prepared, and a graph from before may still ask.
        self._known.clear()
        text = json.dumps(settings) if settings else ""
        request = pb.JoinRequest(peer=this_peer(), model=self.model, settings_json=text)
        reply = self.call("Join", request, self.timeouts.join_seconds)
        check_peer(reply.peer, "server")
        joined = Joined.of(reply, self.target)
        self.digest = joined.digest
        return joined

    def prepare(self, exchange: Exchange) -> Prepared:
        """Compiles an exchange on the server."""
        request = exchange.request(self.model, self.digest)
        reply = self.call("Prepare", request, self.timeouts.prepare_seconds)
        self._known = {reply.signature, *reply.kept}
        return Prepared.of(reply, exchange)

    def prepare_again(self, prepared: Prepared) -> None:
        """A graph that was traced once outlives the server that it was traced with."""
        if prepared.signature not in self._known:
            self.prepare(prepared.exchange)

    def call(self, name: str, request: Any, seconds: float) -> Any:
        """Asks once."""
        try:
            return self._line.call(name, request, seconds)
        except ConnectionLost:
            self.hang_up()
            raise

    def converse(self, name: str) -> Conversation:
        """Opens a stream, with what may be another process than the one before."""
        self._known.clear()
        return self._line.converse(name)

    def persistently(self, ask: Callable[[], T], *passing: type[SplitError]) -> T:
        """Asks again, over a new connection, for a while after one broke; likewise after what else passes."""
        return persistently(ask, self.timeouts.reconnect_seconds, (ConnectionLost, *passing))

    def hang_up(self) -> None:
        """The next call connects anew."""
        # A hosted body goes with its connection, so that one is held for as long as there is hope.
        if "Host" not in self.streams:
            for name in list(self.streams):
                self.drop(name)
            self._line.close()

    def advised(self, error: ConnectionLost) -> ConnectionLost:
        """With what the user can do about it."""
        return ConnectionLost(f"{error} {self._advice}") if "Host" in self.streams else error

    def end(self, name: str) -> None:
        """Tells the server that a stream is over, if there is one."""
        stream = self.streams.pop(name, None)
        if stream is not None:
            stream.close()

    def drop(self, name: str) -> None:
        """Forgets a stream that is of no use any more, if there is one."""
        stream = self.streams.pop(name, None)
        if stream is not None:
            stream.abandon()

    def close(self) -> None:
        """Ends the connection, and with it the hosted body."""
        self.end("Host")
        self._line.close()
