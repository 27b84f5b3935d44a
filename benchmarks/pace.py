"""Tells whether the cores ran at full speed around a measurement."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks import machine

# A core at half speed takes twice as long; noise stays below this.
SLOWEST = 1.3
_FIRST_LOOKS = 3


class Pace:
    """Remembers the fastest calibration of the whole benchmark, and judges others by it.

    A machine that is throttled from the first to the last minute cannot be told from a slow one.
    """

    def __init__(self) -> None:
        self.fastest = math.inf
        for _ in range(_FIRST_LOOKS):
            self.take()

    def take(self) -> list[float]:
        """Calibrates each core now, in seconds."""
        seconds = machine.calibrate()
        self.fastest = min(self.fastest, *seconds)
        return seconds

    def slowdown(self, calibrations: Sequence[Sequence[float]]) -> float:
        """The slowest core's time over the fastest time seen so far."""
        return max(map(max, calibrations)) / self.fastest
