"""Counts by party, for `status` and metrics."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from keras_split.server.observers.observer import Event, Observer, StepSeen

# Without certificates names are anybody's choice, and must not fill the memory.
_MOST_PARTIES = 1024
OTHERS = "(others)"


@dataclass
class Party:
    """What one party has done since the server was started."""

    turns: int = 0
    steps: int = 0
    commits: int = 0
    rollbacks: int = 0
    inferences: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    waits: int = 0
    waited_seconds: float = 0.0
    waiting_since: float | None = None
    refusals: Counter[str] = field(default_factory=Counter)

    def waiting_seconds(self, now: float) -> float:
        """For how long it has been waiting for its turn."""
        return 0.0 if self.waiting_since is None else now - self.waiting_since

    def begin_to_wait(self, now: float) -> None:
        """Its turn is not there yet."""
        if self.waiting_since is None:
            self.waits, self.waiting_since = self.waits + 1, now

    def end_waiting(self, now: float) -> None:
        """It has its turn, or wants none."""
        self.waited_seconds += self.waiting_seconds(now)
        self.waiting_since = None


class Census(Observer):
    """Counts.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.trainer = ""
        self._clock = clock
        self._parties: dict[str, Party] = {}
        self._lock = threading.Lock()

    def parties(self) -> dict[str, Party]:
        """All that have been heard of, by name, as they are now."""
        with self._lock:
            return {
                name: replace(each, refusals=Counter(each.refusals)) for name, each in self._parties.items()
            }

    def step(self, seen: StepSeen) -> None:
        """Counts."""
        with self._lock:
            self._of(seen.party).steps += 1

    def inference(self, party: str) -> None:
        """Counts."""
        with self._lock:
            self._of(party).inferences += 1

    def see(self, event: Event) -> None:
        """Counts."""
        with self._lock:
            if event.kind in ("turn_began", "turn_resumed"):
                self.trainer = event.party
            if event.party or event.kind == "refused":
                self._count(self._of(event.party), event)

    def add_bytes(self, party: str, received: int, sent: int) -> None:
        """Of all calls of a party."""
        with self._lock:
            found = self._of(party)
            found.bytes_received += received
            found.bytes_sent += sent

    def _count(self, party: Party, event: Event) -> None:
        now = self._clock()
        match event.kind:
            case "turn_waits":
                party.begin_to_wait(now)
            case "turn_granted" | "turn_left":
                party.end_waiting(now)
            case "turn_began":
                party.turns += 1
            case "committed":
                party.commits += 1
            case "rolled_back":
                party.rollbacks += 1
            case "refused":
                party.refusals[event.facts["error"]] += 1

    def _of(self, name: str) -> Party:
        if name not in self._parties and len(self._parties) >= _MOST_PARTIES:
            name = OTHERS
        return self._parties.setdefault(name, Party())
