"""Who may train, and what a repeated step means: a state machine without clock, wire or tensors.

Rules:

1. One client holds the turn; another that asks is refused.
2. A turn ends when its holder ends it, or when the holder has been silent for the lease's time.
3. A holder that lost its connection resumes its turn by number, unless another has had the turn since.
   What the old connection still brings, its own end included, changes nothing for the new one.
4. Whoever has lost the turn changes nothing any more, though its stream may still be open.
5. A step must name the server's version and lineage. The last step, sent again under its own number, is
   answered from memory and applied no second time; any other state is refused.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from enum import Enum

from keras_split.errors import TrainerBusy, VersionMismatch

# Enough to tell clients apart. Whoever knew the whole name could take its turn.
_SHOWN = 6


@dataclass(frozen=True)
class Turn:
    """One client's right to train.

    Args:
        number: Counts the turns of a server; 0 is none.
        client: The holder's name.
        expires: On the clock that the caller passes in, in seconds.
        stream: Counts the holder's connections; the last one is what keeps the turn.
        connected: Whether that one is open.
    """

    number: int
    client: str
    expires: float
    stream: int = 1
    connected: bool = True


class Verdict(Enum):
    """What to do with a step."""

    APPLY = "apply"
    REPEAT = "repeat"


class Turns:
    """The turns of one served model; to be asked from any thread.

    Args:
        lease_seconds: Silence after which a turn is over.
        lineage: Names this history of updates.
    """

    def __init__(self, lease_seconds: float, lineage: int):
        self.version = 0
        self.lineage = lineage
        self.count = 0
        self._last_step = 0
        self._lease_seconds = lease_seconds
        self._turn: Turn | None = None
        self._lock = threading.Lock()

    def holder(self, now: float) -> str:
        """The beginning of the name of the client that trains; empty if none does."""
        turn = self._turn
        return turn.client[:_SHOWN] if turn and _is_held(turn, now) else ""

    def lease(self, now: float) -> tuple[int, float]:
        """The turn that somebody has, and seconds until it is over if its holder stays silent; or zeros."""
        turn = self._turn
        return (turn.number, turn.expires - now) if turn and _is_held(turn, now) else (0, 0.0)

    def begin(self, client: str, resumed: int, now: float, *, takes_over: bool = False) -> Turn:
        """Gives out the turn, or the same turn again to a holder that lost its connection.

        Args:
            client: Name of the client's process.
            resumed: Number of the turn to resume; 0 for a new one.
            now: Monotonic seconds.
            takes_over: Whether the client has the right to, whoever trains: a rota has decided.

        Raises:
            TrainerBusy: Another client trains.
            VersionMismatch: The turn to resume is over, and another has begun since.
        """
        with self._lock:
            expires = now + self._lease_seconds
            if resumed:
                self._turn = self._resumed(client, resumed, expires)
            else:
                self._turn = self._new(client, expires, now, takes_over)
            return self._turn

    def renew(self, number: int, now: float) -> None:
        """Renews the lease at each request.

        Args:
            number: The turn in whose stream the request came.
            now: Monotonic seconds.

        Raises:
            VersionMismatch: The turn is over.
        """
        with self._lock:
            if self._turn is None or self._turn.number != number:
                raise VersionMismatch("This turn is over: its lease ended and another client trains now.")
            self._turn = replace(self._turn, expires=now + self._lease_seconds)

    def step(self, number: int, step: int, state: tuple[int, int], now: float) -> Verdict:
        """Decides about a step and renews the lease.

        Args:
            number: The turn in whose stream the step came.
            step: The client's number for this step, the same whenever it is sent again.
            state: Lineage and version at which the client is.
            now: Monotonic seconds.

        Raises:
            VersionMismatch: The halves are not at the same update, or the turn is over.
        """
        self.renew(number, now)
        if state == (self.lineage, self.version):
            return Verdict.APPLY
        if step == self._last_step and state == (self.lineage, self.version - 1):
            return Verdict.REPEAT
        raise VersionMismatch(
            f"The client has seen {state[1]} updates and the server {self.version}, or the server was "
            "restarted or restored in between: one of the halves moved without the other. Restore "
            "both, with `load_weights`, `set_weights` or BackupAndRestore, from the same snapshot."
        )

    def applied(self, step: int) -> None:
        """A step of the holder has been computed and will be applied."""
        self.version += 1
        self._last_step = step

    def restored(self, version: int, lineage: int) -> None:
        """The state is now another one; no step before it can be repeated."""
        self.version, self.lineage = version, lineage
        self._last_step = 0

    def disconnect(self, turn: Turn) -> None:
        """A holder's stream broke; the turn can be resumed until another client asks for one.

        Args:
            turn: As `begin` returned it for that stream.
        """
        with self._lock:
            now = self._turn
            if now is not None and (now.number, now.stream) == (turn.number, turn.stream):
                self._turn = replace(now, connected=False)

    def _new(self, client: str, expires: float, now: float, takes_over: bool) -> Turn:
        turn = self._turn
        # A client that begins anew has given up its own turn, whether the end of that one was seen
        # here or not.
        if turn is not None and turn.client != client and _is_held(turn, now) and not takes_over:
            raise TrainerBusy(
                f"Another client ({turn.client[:_SHOWN]}) trains this model. Try again when it has "
                "finished; `keras-split status` shows who trains. `predict` and `evaluate` need "
                "no turn."
            )
        self.count += 1
        return Turn(self.count, client, expires)

    def _resumed(self, client: str, number: int, expires: float) -> Turn:
        turn = self._turn
        if turn is None or (turn.number, turn.client) != (number, client):
            raise VersionMismatch(
                "The turn that this client wants to resume is over, and another one has begun, or the "
                "server has been restarted. Restore both halves from the same snapshot."
            )
        return Turn(number, client, expires, turn.stream + 1)


def _is_held(turn: Turn, now: float) -> bool:
    return turn.connected and now < turn.expires
