"""Bad lines and full disks, at instants that a seed decides.

A line of TCP under TLS can be cut in the midst of a message, held up, or made to swallow all that comes. It
cannot repeat or reorder bytes: TCP puts them in order, and TLS ends a line on which anything else arrives.
What is repeated in such a run are whole requests, whose replies were cut off; what is out of order are
requests of an old connection that come after those of a new one.
"""

from __future__ import annotations

import random
import threading
from collections import Counter

from soak.clinic import Clinic

_KINDS = ("cut", "cut in a message", "cut in a reply", "delay", "full disk")
_LONGEST_DELAY_SECONDS = 0.05
_MOST_BYTES = 3000


class Weather:
    """Disturbs a run, from `with` to its end.

    Args:
        clinic: The run.
        random: Decides.
        pause_seconds: Between two disturbances, on average.
    """

    def __init__(self, clinic: Clinic, random: random.Random, pause_seconds: float):
        self.counts: Counter[str] = Counter()
        self._clinic = clinic
        self._random = random
        self._pause_seconds = pause_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._disturb)

    def __enter__(self) -> Weather:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()
        for line in self._clinic.lines.values():
            line.mend()

    def _disturb(self) -> None:
        while not self._over.wait(self._random.expovariate(1 / self._pause_seconds)):
            kind = self._random.choice(_KINDS)
            self.counts[kind] += 1
            where = self._random.choice(["server", "store"])
            if kind == "full disk":
                self._fill(where)
            else:
                self._spoil(where, kind)

    def _spoil(self, where: str, kind: str) -> None:
        line, drawn = self._clinic.lines[where], self._random
        line.delay_seconds = 0.0
        if kind == "cut":
            line.cut()
        elif kind == "delay":
            line.delay_seconds = drawn.uniform(0, _LONGEST_DELAY_SECONDS)
        else:
            direction = "up" if kind == "cut in a message" else "down"
            line.after(direction, drawn.randrange(_MOST_BYTES), line.cut)

    def _fill(self, where: str) -> None:
        """For a moment; whoever is started again in it has an empty disk again."""
        self._clinic.ward.fill_disk(where, self._random.randrange(_MOST_BYTES))
        self._over.wait(self._random.uniform(0.1, 1.0))
        self._clinic.ward.fill_disk(where, None)
