"""A data owner's part in a run: wait for the turn, take over, hand over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Link, Trained
from keras_split.errors import MissingLinks, ProtocolError, RollbackDetected
from keras_split.exchange import Handover
from keras_split.owners.agreed import Agreed
from keras_split.owners.history import History, Moment
from keras_split.owners.membership import Membership
from keras_split.owners.shown import Shown
from keras_split.owners.waiting import read_waiting
from keras_split.session import Session
from keras_split.state import Bundle, Ticket
from keras_split.turns import Quota, Unit, Waiting

_QUICKEST_POLL_SECONDS, _SLOWEST_POLL_SECONDS = 0.05, 2.0
# So that noticing that a turn has ended takes no more than this share of the turn.
_POLL_SHARE = 0.1
# What no run comes to, and no link can hold.
_MOST_TURNS = 1 << 52


@dataclass(frozen=True)
class Taken:
    """A turn.

    Args:
        turn: Its number.
        used: How much of the quota it has used already, by steps that were committed.
        quota: Its length.
        commit_every: Steps after which to commit in its midst; 0 for never.
        trained: By this member of its own data, up to its last commit.
        state: The client's state to go on from.
    """

    turn: int
    used: float
    quota: Quota
    commit_every: int
    trained: Trained
    state: Bundle


class DataOwner:
    """Takes turns with others.

    Args:
        membership: Who this is.
        handover: The way of the envelopes.
        session: Returns the joined session.
        agreed: What was validated.
        expand: From the clients' common secret (32 bytes) to the state that a run begins with.
        max_state_bytes: More than that is no state of this client's model.
    """

    def __init__(
        self,
        membership: Membership,
        handover: Handover,
        session: Callable[[], Session],
        agreed: Agreed,
        expand: Callable[[bytes], Bundle],
        max_state_bytes: int,
    ):
        self.membership = membership
        self._handover = handover
        self._session = session
        self._agreed = agreed
        self._history = History(membership, handover, expand, max_state_bytes)
        self._shown = Shown(membership, agreed, lambda request: session().ask_for_turn(request))

    @property
    def last_commit(self) -> Ticket:
        """Whose state this member has."""
        return Ticket(self._history.version, self._history.number + 1)

    def take(self, tell: Callable[[Waiting], None]) -> Taken:
        """Waits for the turn, and takes over what the last holder left.

        Args:
            tell: Called each time this member has to go on waiting.

        Raises:
            EnvelopeRefused: History or state that must not be used.
            SplitError: The server or the envelopes cannot be reached.
        """
        reply = self._granted(tell)
        turn, quota = _read_turn(reply), _read_quota(reply)
        self._learn(reply)
        self._session().take_turn(self.membership.identity.name, self._history.version)
        if self._history.number < 0:
            self._begin(turn)
        return Taken(
            turn,
            reply.used,
            quota,
            reply.commit_every,
            self._trained(),
            self._history.state,
        )

    def look(self) -> Bundle:
        """The newest state of the run, without a turn; empty before the first."""
        request = self._request(self._history.number)
        request.looks = True
        self._learn(self._session().ask_for_turn(request))
        return self._history.state

    def commit(self, state: Bundle, turn: int, trained: Trained, *, ends: bool, used: float) -> None:
        """Hands over, and makes what was done since the last commit last.

        Args:
            state: This client's.
            turn: As taken.
            trained: By this member of its own data.
            ends: Whether the turn is over.
            used: How much of the quota it has used.

        Raises:
            TurnLost: It was over before; nothing of it lasts.
            SplitError: Whether it lasts is not known. The next `take` tells.
        """
        moment = Moment(turn, self._session().version, trained)
        link, blob = self._history.next(state, moment, self._agreed)
        self._hand_over(link, blob, ends=ends, used=used)
        self._history.accept(link, state)
        if ends:
            self._end_calls()

    def leave(self, *, is_done: bool) -> None:
        """Is not waited for from now on; what was not committed is taken back.

        Args:
            is_done: Whether this member would begin its data anew, and not go on in its midst.
        """
        if is_done:
            self.membership.pinned.begin_anew()
        self._session().end_turn()
        self._session().ask_for_turn(pb.TurnRequest(member=self.membership.identity.name, leaves=True))

    def _end_calls(self) -> None:
        """A member without a turn costs the server no open call, however many of them wait."""
        self._session().end_turn()
        self._session().end_inference()

    def _learn(self, reply: pb.TurnReply) -> None:
        if reply.roster:
            self.membership.learn(reply.roster)
        self._history.follow(self._shown.links(reply), dict(reply.addresses))
        self._check_commits(reply.commits)

    def _check_commits(self, commits: int) -> None:
        """A run begins once: where nobody has committed anything, and this member knows of nothing."""
        if commits and self._history.number < 0:
            raise MissingLinks(
                f"The server counts {commits} commits of the run, and shows no link of them. Has it lost a "
                "part of its folder? Restore it from its backup."
            )
        if not commits and self._history.number >= 0:
            raise RollbackDetected(
                "The server says that nothing of the run has been committed yet, and this member has seen "
                f"link {self._history.number}. Has the server lost its folder? Restore it from its backup."
            )

    def _granted(self, tell: Callable[[Waiting], None]) -> pb.TurnReply:
        # A callback may have predicted since the last commit.
        self._end_calls()
        since = time.monotonic()
        while True:
            reply = self._session().ask_for_turn(self._request(self._history.number))
            if not reply.HasField("waiting"):
                return reply
            tell(read_waiting(reply.waiting, self.membership.names()))
            pause = _POLL_SHARE * (time.monotonic() - since)
            time.sleep(min(max(pause, _QUICKEST_POLL_SECONDS), _SLOWEST_POLL_SECONDS))

    def _request(self, since: int) -> pb.TurnRequest:
        pin = self.membership.pinned.read()
        return pb.TurnRequest(
            member=self.membership.identity.name,
            since=since,
            pinned=-1 if pin is None else pin.number,
            address=self._handover.address,
            epochs=len(self.membership.rosters),
        )

    def _trained(self) -> Trained:
        pin = self.membership.pinned.read()
        return Trained() if pin is None else pin.trained

    def _begin(self, turn: int) -> None:
        """The first of all turns makes the secret that all initial weights come from."""
        link, blob = self._history.first(turn, self._agreed)
        self._hand_over(link, blob, ends=False, used=0.0)
        self._history.accept(link, self._history.state)

    def _hand_over(self, link: Link, blob: bytes, *, ends: bool, used: float) -> None:
        # Durable before the commit: a commit whose envelope nobody has would end the run.
        self._handover.put(link.blob, blob)
        self._session().commit(pb.Commit(link=link.to_bytes(), ends=ends, used=used))


def _read_turn(reply: pb.TurnReply) -> int:
    if not 0 < reply.turn <= _MOST_TURNS:
        raise ProtocolError(
            "The server grants a turn of a number that no run comes to. Do both sides run the same version? "
            f"Received: turn={reply.turn}."
        )
    return reply.turn


def _read_quota(reply: pb.TurnReply) -> Quota:
    try:
        return Quota(reply.quota, cast(Unit, reply.unit))
    except ValueError:
        raise ProtocolError(
            "The server grants a turn of no length that there is. Do both sides run the same version? "
            f"Received: quota={reply.quota}, unit={reply.unit[:20]!r}."
        ) from None
