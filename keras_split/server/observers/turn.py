"""What is told of one conversation in which a client trains."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Link
from keras_split.server.observers.observer import Event, Observer, StepSeen


class TurnSeen:
    """Adds up a turn's steps, and tells of them at its commits and its end.

    Args:
        observer: Who is told.
        party: Who trains.
        turn: The turn's number.
        update: Updates of the body at the beginning.
    """

    def __init__(self, observer: Observer, party: str, turn: int, update: int):
        self._observer = observer
        self._party = party
        self._turn = turn
        self._lock = threading.Lock()
        self._begin_anew(update)

    def began(self, update: int, *, resumed: bool) -> None:
        """The client may train."""
        self._tell("turn_resumed" if resumed else "turn_began", {"update": update})

    def rolled_back(self, before: int, after: int) -> None:
        """Updates that nobody had committed are gone."""
        self._tell("rolled_back", {"from_update": before, "update": after})
        self._first = after

    def crossed(self, *, received: Sequence[np.ndarray] = (), sent: Sequence[np.ndarray] = ()) -> None:
        """Tensors of a step."""
        with self._lock:
            self._received += _bytes(received)
            self._sent += _bytes(sent)

    def applied(self, signature: str, rows: int) -> None:
        """A step is certain to be applied. On the way of its reply, so that this takes no time."""
        with self._lock:
            self._steps += 1
            self._rows += rows
            self._signatures.add(signature)

    def step(self, update: int, since: float, losses: Sequence[Any]) -> None:
        """A step and its update are done."""
        self._observer.step(StepSeen(self._party, update, time.monotonic() - since, losses))

    def committed(self, commit: pb.Commit, number: int, update: int) -> None:
        """A commit is durable."""
        self.trained(update)
        link = Link.read(commit.link)
        facts = {"number": number, "update": update, "link": link.digest, "blob": link.blob}
        self._tell("committed", {**facts, "ends": commit.ends}, lasts=True)

    def kept(self, kind: str, update: int) -> None:
        """A snapshot was written, or returned to."""
        self.trained(update)
        self._tell(kind, {"update": update}, lasts=kind == "snapshot")

    def ended(self, update: int) -> None:
        """The conversation is over."""
        self.trained(update)
        self._tell("turn_ended", {"update": update})

    def trained(self, update: int) -> None:
        """Tells of the steps since the last time, if there were any."""
        with self._lock:
            facts = {
                "first_update": self._first,
                "update": update,
                "steps": self._steps,
                "rows": self._rows,
                "bytes_received": self._received,
                "bytes_sent": self._sent,
                "signatures": sorted(self._signatures),
            }
            self._begin_anew(update)
        if facts["steps"]:
            self._tell("trained", facts)

    def _begin_anew(self, update: int) -> None:
        self._first = update
        self._steps = self._rows = self._received = self._sent = 0
        self._signatures: set[str] = set()

    def _tell(self, kind: str, facts: dict[str, Any], *, lasts: bool = False) -> None:
        self._observer.see(Event(kind, self._party, {"turn": self._turn, **facts}, lasts))


def _bytes(tensors: Iterable[np.ndarray]) -> int:
    return sum(each.nbytes for each in tensors)
