"""What a commit says about the turns of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Record:
    """Where a run is; stands in the same file as the state that belongs to it.

    Args:
        number: Of the last commit; -1 before the first.
        turn: In which that was; 0 before the first.
        holder: Who made it.
        ended: Whether the turn ended with it.
        used: How much of its quota that turn had used.
        away: Members that were not waited for then.
    """

    number: int = -1
    turn: int = 0
    holder: str = ""
    ended: bool = True
    used: float = 0.0
    away: Sequence[str] = ()

    def after(self, turn: int, holder: str, *, ended: bool, used: float, away: Sequence[str] = ()) -> Record:
        """The next commit's."""
        return Record(self.number + 1, turn, holder, ended, used, tuple(away))

    def to_json(self) -> dict[str, Any]:
        """For a snapshot's metadata."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Record:
        """What `to_json` gave."""
        return cls(**found)
