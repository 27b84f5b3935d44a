"""What a member learns about the turn that it waits for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Waiting:
    """Whose turn it is.

    Args:
        member: Its name; empty if that is not known, or nobody is waited for.
        trains: Whether it has taken its turn, and is not only waited for.
        ahead: Turns before the asking member's.
        seconds: For how long this one has been going on.
        usual_seconds: How long turns usually take, as far as is known; 0 before the first has ended.
    """

    member: str
    trains: bool
    ahead: int
    seconds: float
    usual_seconds: float

    @property
    def expected_seconds(self) -> float:
        """How long it will still take, if turns are as they were; 0 if nobody knows."""
        return max(0.0, self.ahead * self.usual_seconds - self.seconds) if self.usual_seconds else 0.0

    def __str__(self) -> str:
        who = self.member or "another member"
        what = f"{who} trains" if self.trains else f"waiting for {who} to take its turn"
        more = f", then {self.ahead - 1} more" if self.ahead > 1 else ""
        left = f", about {self.expected_seconds:.0f} s" if self.expected_seconds else ""
        return f"{what}{more}{left}"
