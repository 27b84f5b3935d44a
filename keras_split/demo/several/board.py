"""Where everybody is, from what the data owners tell: a state machine without processes or terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Seat:
    """A data owner, as far as it has told.

    Args:
        name: Which.
        rows: It has so many.
        batches: In an epoch.
        state: `"waits"`, `"trains"`, `"tests"`, `"hands over"` or `"done"`.
        member: Whom it waits for.
        ahead: Turns before its own.
        epoch: From 0, of its own data.
        steps: Of the epoch.
        loss: Training loss of the epoch so far.
        accuracy: Likewise.
        since: Since when it has been waiting.
        waited_seconds: All its waits together, until they end.
        sent: Bytes to the server, at the end.
        received: Bytes from it.
    """

    name: str
    rows: int = 0
    batches: int = 0
    state: str = "waits"
    member: str = ""
    ahead: int = 0
    epoch: int = 0
    steps: int = 0
    loss: float = 0.0
    accuracy: float = 0.0
    since: float = 0.0
    waited_seconds: float = 0.0
    sent: int = 0
    received: int = 0


@dataclass
class Span:
    """A turn.

    Args:
        member: Who had it.
        number: Which, from 1.
        begins: Seconds after the start.
        trained: When its last step was done; None before.
        ends: When it was committed; None before.
        epoch: Of its own data, from 0.
        scores: `loss`, `accuracy`, `test_loss` and `test_accuracy` of its epoch.
    """

    member: str
    number: int
    begins: float
    trained: float | None = None
    ends: float | None = None
    epoch: int = 0
    scores: dict[str, float] = field(default_factory=dict)


class Board:
    """All data owners and all turns.

    Args:
        members: Names, in the roster's order.
        epochs: Of each.
        batch_size: Rows in a batch.
    """

    def __init__(self, members: tuple[str, ...], epochs: int, batch_size: int):
        self.epochs = epochs
        self.seats = {name: Seat(name) for name in members}
        self.turns: list[Span] = []
        self._batch_size = batch_size
        self._start = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether all have their rows and their connection."""
        return all(seat.rows for seat in self.seats.values())

    @property
    def is_done(self) -> bool:
        """Whether all have trained all their epochs."""
        return all(seat.state == "done" for seat in self.seats.values())

    @property
    def all_turns(self) -> int:
        """How many turns there will be, of an epoch each."""
        return self.epochs * len(self.seats)

    def begin(self, at: float) -> None:
        """Training starts.

        Args:
            at: Seconds of the clock that the messages have.
        """
        self._start = at

    def hear(self, name: str, message: dict[str, Any]) -> str:
        """Takes in what a data owner has told, and returns its event."""
        event = message.pop("event")
        at = message.pop("at") - self._start
        getattr(self, f"_{event}")(self.seats[name], at, **message)
        return str(event)

    def _ready(self, seat: Seat, at: float, rows: int) -> None:
        del at
        seat.rows, seat.batches = rows, -(-rows // self._batch_size)

    def _waits(self, seat: Seat, at: float, member: str, trains: bool, ahead: int) -> None:
        del at, trains
        seat.state, seat.member, seat.ahead = "waits", member, ahead

    def _begins(self, seat: Seat, at: float, turn: int) -> None:
        seat.waited_seconds += at - seat.since
        seat.state, seat.steps = "trains", 0
        self.turns.append(Span(seat.name, turn, at))

    def _steps(self, seat: Seat, at: float, epoch: int, steps: int, loss: float, accuracy: float) -> None:
        del at
        seat.epoch, seat.steps, seat.loss, seat.accuracy = epoch, steps, loss, accuracy

    def _trained(self, seat: Seat, at: float, epoch: int, loss: float, accuracy: float) -> None:
        self._steps(seat, at, epoch, seat.batches, loss, accuracy)
        seat.state = "tests"
        turn = self._turn_of(seat)
        turn.trained, turn.epoch = at, epoch
        turn.scores.update(loss=loss, accuracy=accuracy)

    def _tested(self, seat: Seat, at: float, test_loss: float, test_accuracy: float) -> None:
        del at
        seat.state = "hands over"
        self._turn_of(seat).scores.update(test_loss=test_loss, test_accuracy=test_accuracy)

    def _ends(self, seat: Seat, at: float, turn: int) -> None:
        del turn
        ended = self._turn_of(seat)
        ended.ends = seat.since = at
        seat.state, seat.member, seat.ahead, seat.epoch = "waits", "", 0, ended.epoch + 1

    def _done(self, seat: Seat, at: float, sent: int, received: int) -> None:
        del at
        seat.state, seat.sent, seat.received = "done", sent, received

    def _turn_of(self, seat: Seat) -> Span:
        """Its last one; pipes may bring the next holder's first word before this one's last."""
        return next(turn for turn in reversed(self.turns) if turn.member == seat.name)
