"""How the members of a run take turns, and what the server keeps for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keras_split.crypto import Roster
from keras_split.turns import Quota


@dataclass(frozen=True)
class RunOptions:
    """How members take turns.

    Args:
        roster: The signed file with all epochs, as text.
        rosters: What it says.
        order: As `order_of` reads it.
        quota: Of a turn.
        commit_every: Steps after which a turn commits in its midst; 0 for never.
        absence_seconds: How long a member that does not ask for its turn is waited for.
        envelope_bytes: Ceilings on one envelope that the server keeps for the members, and on all.
    """

    roster: str
    rosters: Sequence[Roster]
    order: str = "round-robin"
    quota: Quota = Quota()
    commit_every: int = 0
    absence_seconds: float = 60.0
    envelope_bytes: tuple[int, int] = (1 << 30, 64 << 30)

    @property
    def members(self) -> list[str]:
        """Of the newest epoch, in its order."""
        return [member.name for member in self.rosters[-1].members]
