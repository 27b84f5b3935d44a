"""Whose turn it is among the members of a run: a state machine without clock, wire or disk.

Rules:

1. Members take turns in an order. Who asks and is next gets the turn; whoever has it and asks, gets the
   same turn again, and goes on from the last commit.
2. Who is next and does not ask is waited for for `absence_seconds`. After that the turn passes over it
   until it asks again, and then it has its place again.
3. Who has the turn and is silent for `lease_seconds` loses it, with all that was not committed.
4. A commit is all that lasts. A turn that had a commit in its midst is still its holder's after a restart
   of the server, for what is left of it; one that had none is given out anew.
5. Who leaves is passed over at once, until it asks again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from keras_split.errors import Refused, TurnLost
from keras_split.turns.order import Order
from keras_split.turns.quota import Quota
from keras_split.turns.record import Record
from keras_split.turns.waiting import Waiting


@dataclass(frozen=True)
class Granted:
    """The turn is the asking member's.

    Args:
        turn: Its number, from 1.
        used: How much of its quota it has used, up to the last commit.
    """

    turn: int
    used: float


@dataclass(frozen=True)
class _Held:
    turn: int
    member: str
    since: float
    expires: float


class Rota:
    """The turns of a run; to be asked from any thread.

    Args:
        members: In the roster's order.
        order: Of the turns.
        quota: Of a turn.
        record: The last commit's.
        lease_seconds: Silence after which a holder loses its turn.
        absence_seconds: How long a member that does not ask is waited for.
    """

    def __init__(
        self,
        members: Sequence[str],
        order: Order,
        quota: Quota,
        record: Record,
        lease_seconds: float,
        absence_seconds: float,
    ):
        self.members = tuple(members)
        self.quota = quota
        self.record = record
        self._order = order
        self._lease_seconds = lease_seconds
        self._absence_seconds = absence_seconds
        self._held: _Held | None = None
        self._passed: set[str] = set()
        self._slot: tuple[int, str] = (0, "")
        self._slot_since = 0.0
        self._usual_seconds = 0.0
        self._lock = threading.RLock()

    def go_on_from(self, record: Record) -> None:
        """Is where the last commit left it."""
        with self._lock:
            self.record, self._held, self._passed = record, None, set(record.away)

    def ask(self, member: str, now: float) -> Granted | Waiting:
        """Gives the turn to a member, or tells whose it is.

        Args:
            member: Who asks.
            now: Monotonic seconds, as everywhere here.

        Raises:
            Refused: No member.
        """
        self.check_member(member)
        with self._lock:
            self._expire(now)
            self._passed.discard(member)
            if self._held is None and self._next(now, member) == member:
                self._held = _Held(self._number(member), member, now, now + self._lease_seconds)
            held = self._held
            if held is None or held.member != member:
                return self._waiting(member, now)
            self._held = replace(held, expires=now + self._lease_seconds)
            return Granted(held.turn, self._used(member))

    def renew(self, member: str, turn: int, now: float) -> None:
        """The holder is not silent.

        Raises:
            TurnLost: It holds another turn, or none.
        """
        with self._lock:
            held = self._held
            if held is None or (held.member, held.turn) != (member, turn):
                raise TurnLost(
                    f"Turn {turn} is over for {member!r}: its lease ended, or the server was started again. "
                    "What was not committed is taken back; ask for the turn again."
                )
            self._held = replace(held, expires=now + self._lease_seconds)

    def turn_of(self, member: str, now: float) -> int:
        """The turn that a member has.

        Raises:
            TurnLost: None.
        """
        with self._lock:
            self._expire(now)
            if self._held is None or self._held.member != member:
                raise TurnLost(f"{member!r} does not have the turn, or not any more. Ask for it again.")
            return self._held.turn

    def committed(self, record: Record, now: float) -> None:
        """A commit of the holder is durable."""
        with self._lock:
            held, self.record = self._held, record
            if record.ended and held is not None:
                took = now - held.since
                self._usual_seconds = (self._usual_seconds + took) / 2 if self._usual_seconds else took
                self._held = None

    def leave(self, member: str) -> None:
        """A member does not train for now; what it has not committed of a turn is taken back."""
        self.check_member(member)
        with self._lock:
            if self._held is not None and self._held.member == member:
                self._held = None
            self._passed.add(member)

    def holder(self, now: float) -> str:
        """Who trains; empty if nobody does."""
        with self._lock:
            self._expire(now)
            return self._held.member if self._held else ""

    def lease(self, now: float) -> tuple[int, float]:
        """The turn that somebody has, and seconds until it is over if its holder stays silent; or zeros."""
        with self._lock:
            self._expire(now)
            return (self._held.turn, self._held.expires - now) if self._held else (0, 0.0)

    def check_member(self, member: str) -> None:
        """Raises `Refused` for others than members."""
        if member not in self.members:
            raise Refused(
                f"{member!r} is no member of this run. Ask an owner of the roster to add it, and start the "
                "server with the new roster."
            )

    def passed_over(self) -> list[str]:
        """Members that are not waited for."""
        with self._lock:
            return sorted(self._passed)

    def _expire(self, now: float) -> None:
        if self._held is not None and now >= self._held.expires:
            self._passed.add(self._held.member)
            self._held = None

    def _next(self, now: float, asking: str) -> str:
        """Who is to have the turn now: the first in the order that is there or still waited for."""
        for member in self._candidates():
            if member in self._passed:
                continue
            if self._slot != (self.record.number, member):
                self._slot, self._slot_since = (self.record.number, member), now
            if member == asking or now - self._slot_since < self._absence_seconds:
                return member
            self._passed.add(member)
        return asking

    def _candidates(self) -> list[str]:
        record = self.record
        ordered = self._order(self.members, record.holder, record.turn + 1)
        return ordered if record.ended else [record.holder, *ordered]

    def _number(self, member: str) -> int:
        goes_on = not self.record.ended and self.record.holder == member
        return self.record.turn if goes_on else self.record.turn + 1

    def _used(self, member: str) -> float:
        goes_on = not self.record.ended and self.record.holder == member
        return self.record.used if goes_on else 0.0

    def _waiting(self, member: str, now: float) -> Waiting:
        held = self._held
        coming = self._order(self.members, held.member, held.turn + 1) if held else self._candidates()
        here = [each for each in coming if each not in self._passed]
        first, since = (held.member, held.since) if held else (here[0], self._slot_since)
        ahead = list(dict.fromkeys([first, *here])).index(member)
        return Waiting(first, held is not None, ahead, now - since, self._usual_seconds)
