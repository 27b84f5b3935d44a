"""TensorBoard: loss by party, turns, waits and bytes over the updates of the body."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_split.server.observers.observer import Event, Observer, StepSeen

# A point costs about as much as a small step, so that only every so many get one.
_STEPS_PER_POINT = 50


class Scalars(Observer):
    """Writes event files.

    The loss is what the server knows: the mean, over some steps, of the loss of the labels and of the
    body's own terms. What the client's layers add (regularisers) is not in it; with a second cut there is
    none.

    Args:
        folder: For event files.
        clock: Monotonic seconds.
    """

    def __init__(self, folder: Path | str, clock: Callable[[], float] = time.monotonic):
        self._writer = tf.summary.create_file_writer(str(folder))
        self._clock = clock
        self._lock = threading.Lock()
        self._losses: dict[str, list[float]] = {}
        self._update = 0
        self._asked_at: dict[str, float] = {}

    def step(self, seen: StepSeen) -> None:
        """Adds a step's loss to the next point."""
        with self._lock:
            self._update = seen.update
            if seen.losses:
                found = self._losses.setdefault(seen.party, [])
                found.append(_sum(seen.losses))
                if len(found) >= _STEPS_PER_POINT:
                    self._write_losses()

    def see(self, event: Event) -> None:
        """Writes what belongs to turns."""
        with self._lock:
            self._update = max(self._update, event.facts.get("update", 0))
            match event.kind:
                case "turn_waits":
                    self._asked_at.setdefault(event.party, self._clock())
                case "turn_granted":
                    asked_at = self._asked_at.pop(event.party, self._clock())
                    self._write(f"wait_seconds/{event.party}", self._clock() - asked_at)
                    self._write("turn", event.facts["turn"])
                case "turn_left":
                    self._asked_at.pop(event.party, None)
                case "trained":
                    self._write_turn(event)

    def close(self) -> None:
        """Writes what is left."""
        with self._lock:
            self._write_losses()
            self._writer.close()

    def _write_turn(self, event: Event) -> None:
        self._write_losses()
        for name in ("bytes_received", "bytes_sent", "steps"):
            self._write(f"{name}/{event.party}", event.facts[name])
        self._writer.flush()

    def _write_losses(self) -> None:
        for party, losses in self._losses.items():
            self._write(f"loss/{party}", math.fsum(losses) / len(losses))
        self._losses.clear()

    def _write(self, name: str, value: float) -> None:
        with self._writer.as_default():
            tf.summary.scalar(name, value, step=self._update)


def _sum(losses: Any) -> float:
    return math.fsum(float(np.sum(np.asarray(each), dtype="float64")) for each in losses)
