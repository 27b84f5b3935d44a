"""When a split model meets its server: as late as possible, and again after each compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import tensorflow as tf

from keras_split.errors import ConnectionLost, TopologyError
from keras_split.model.kept import Kept
from keras_split.model.own_objects import modules_of_own_objects
from keras_split.session import Joined, Session, Timeouts
from keras_split.state import Ticket


class Connection:
    """Opens a session at the first need.

    Args:
        open_session: Opens one; None for a model that is not connected.
        digest: Of the topology that the server must have; None to take the server's.
        place: Places this client's body there, or tells what has changed of it; for a server that has none
            of its own.
        is_private: Whether the server is a process of this program, on this machine.
    """

    def __init__(
        self,
        open_session: Callable[[], Session] | None,
        digest: str | None = None,
        place: Callable[[Session], None] | None = None,
        *,
        is_private: bool = False,
    ):
        self.is_private = is_private
        self._open_session = open_session
        self._place = place
        self._digest = digest
        self._session: Session | None = None
        self._settings: dict[str, Any] | None = None
        self._joined: Joined | None = None

    @classmethod
    def of(cls, session: Session, joined: Joined) -> Connection:
        """By a session that has joined: what the server told then was looked at, and holds."""
        made = cls(lambda: session, joined.digest)
        made._session, made._joined = session, joined
        return made

    @property
    def is_possible(self) -> bool:
        """Whether there is a server to talk to."""
        return self._open_session is not None

    @property
    def is_open(self) -> bool:
        """Whether the body is there already."""
        return self._session is not None

    def __repr__(self) -> str:
        """Where the server is, for people."""
        if self._open_session is None:
            return "not connected"
        target = "" if self._session is None else self._session.target
        if self.is_private:
            return f"private, {target}" if target else "private, not started"
        return target or "not met yet"

    def keeps_settings(self) -> bool:
        """Whether the server's compile settings hold, so that the client's must be the same."""
        return self._joined is not None and not self._joined.accepts_settings

    def settle(self, settings: dict[str, Any] | None) -> None:
        """Has the body compiled anew before the next exchange."""
        self._settings = settings
        self._joined = None

    def tell(self) -> None:
        """Has the server know what has changed of the body, if it has one already."""
        if self._session is not None and self._place is not None:
            self._place(self._session)

    def session(self) -> Session:
        """The joined session."""
        self.joined()
        return cast(Session, self._session)

    def joined(self) -> Joined:
        """What the server told."""
        if self._joined is None:
            self._joined = self._join()
        return self._joined

    def continue_from(self, other: Connection) -> None:
        """Takes over from the connection that the client's half had before."""
        if other._session is not None:
            self.session().continue_from(other._session)

    def close(self) -> None:
        """Ends the session, if there is one; there will be no other."""
        session, self._session, self._joined = self._session, None, None
        self._open_session = None
        if session is not None:
            session.close()

    def end_calls(self) -> None:
        """Frees the turn and the server's threads; a later exchange begins anew."""
        if self._session is not None:
            self._session.end_turn()
            self._session.end_inference()

    def _join(self) -> Joined:
        if self._open_session is None:
            raise ConnectionLost(
                "This model is not connected to a server: it was loaded from a file, or closed. Call "
                "`model.connect('host:port', credentials=...)` first. A half of a private server connects by "
                "itself if it was made with a `checkpoint_dir` and saved as `.keras`."
            )
        # The first use may be one that Keras traces, where variables have no values.
        with tf.init_scope():
            if self._session is None:
                self._session = self._open_session()
            self.tell()
        joined = self._session.join(self._settings)
        if self._digest not in (None, joined.digest):
            raise TopologyError(
                "The server's topology is not the one that this half was made for. Is it the server of "
                "another model, was it restarted with another cut, or was the half saved by an earlier "
                "version of keras_split?"
            )
        return joined


def kept_session(kept: Kept, ticket: Ticket, open_session: Callable[[Timeouts | None], Session]) -> Session:
    """A session with a private server that has taken over what a former program has kept."""
    body, state = kept.read(ticket)
    session = open_session(None)
    # The modules of this program: a file does not choose what is imported.
    session.host({**body, "modules": modules_of_own_objects()}, state, kept.folder)
    return session
