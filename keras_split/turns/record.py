"""What a commit says about the turns of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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
        bookmarks: How far in its own data each member is, in words of its own.
        away: Members that were not waited for then.
    """

    number: int = -1
    turn: int = 0
    holder: str = ""
    ended: bool = True
    used: float = 0.0
    bookmarks: Mapping[str, str] = field(default_factory=dict)
    away: Sequence[str] = ()

    def after(
        self, turn: int, holder: str, *, ended: bool, used: float, bookmark: str, away: Sequence[str] = ()
    ) -> Record:
        """The next commit's."""
        bookmarks = {**self.bookmarks, holder: bookmark}
        return Record(self.number + 1, turn, holder, ended, used, bookmarks, tuple(away))

    def without_bookmark(self, member: str) -> Record:
        """Of a run in which a member has come to its end, and would begin anew."""
        rest = {name: each for name, each in self.bookmarks.items() if name != member}
        return replace(self, bookmarks=rest)

    def to_json(self) -> dict[str, Any]:
        """For a snapshot's metadata."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Record:
        """What `to_json` gave."""
        return cls(**found)
