"""What one run of a soak trains, and in which order it must have been trained."""

from __future__ import annotations

import random
from dataclasses import dataclass

from support.run import as_batches


@dataclass(frozen=True)
class Plan:
    """A run.

    Args:
        seed: Of its faults.
        shards: First row and the one behind the last, by member.
        epochs: Of each member.
        quota: Steps of a turn; 0 for an epoch.
        commit_every: Steps; 0 for never in the midst of a turn.
    """

    seed: int
    shards: dict[str, tuple[int, int]]
    epochs: int
    quota: int
    commit_every: int

    @classmethod
    def drawn(cls, seed: int, epochs: int) -> Plan:
        """Two or three members with uneven shards."""
        drawn = random.Random(seed)
        ends = drawn.choice([(0, 16, 40), (0, 24, 40), (0, 16, 27, 40), (0, 11, 24, 40)])
        names = ("hospital-a", "hospital-b", "hospital-c")
        shards = dict(zip(names, zip(ends, ends[1:], strict=False), strict=False))
        return cls(seed, shards, epochs, drawn.choice([0, 3, 5]), drawn.choice([0, 1, 2]))

    @property
    def length(self) -> str:
        """Of a turn, as `--steps-per-turn` reads it."""
        return str(self.quota) if self.quota else "epoch"

    def steps(self) -> dict[str, int]:
        """Of each member, in all."""
        return {name: len(as_batches(slice(*rows))) * self.epochs for name, rows in self.shards.items()}

    def order(self) -> list[slice]:
        """Batches as a run without faults trains them: each member's in turns, round robin."""
        left = {name: as_batches(slice(*rows)) * self.epochs for name, rows in self.shards.items()}
        turns = {name: self.quota or len(as_batches(slice(*rows))) for name, rows in self.shards.items()}
        found: list[slice] = []
        while any(left.values()):
            for name, steps in turns.items():
                found += left[name][:steps]
                left[name] = left[name][steps:]
        return found

    def __str__(self) -> str:
        return f"{len(self.shards)} owners, turns of {self.length}, commits every {self.commit_every}"
