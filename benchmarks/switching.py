"""What is lost when the turn goes from one data owner to the next."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from benchmarks import machine
from benchmarks.pace import SLOWEST, Pace
from keras_split import SplitModel
from keras_split.verification.rehearsal import Rehearsal

MEMBERS = 2
BATCH = 16
_SHAPE = (28, 28, 1)


class Marks(keras.callbacks.Callback):
    """Notes the end of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Notes one."""
        del batch, logs
        self.ends.append(time.perf_counter())


def take_round(members: list[SplitModel], steps: int, turns: int, pace: Pace) -> dict[str, Any]:
    """So many turns of each member, round robin, an epoch of `steps` steps each.

    A switch lasts from the end of a turn's last step to the end of the next one's first, less a step.
    """
    before, utilisation = pace.take(), machine.Utilisation()
    marks = [Marks() for _ in members]
    random = np.random.default_rng(steps)
    x = random.normal(size=(steps * BATCH, *_SHAPE)).astype("float32")
    y = random.integers(0, 10, steps * BATCH)

    def fit(at: int) -> None:
        members[at].fit(x, y, batch_size=BATCH, epochs=turns, shuffle=False, verbose=0, callbacks=[marks[at]])

    with ThreadPoolExecutor(len(members)) as threads:
        list(threads.map(fit, range(len(members))))
    ends = np.array(sorted(end for each in marks for end in each.ends))
    gaps = np.diff(ends)
    between = gaps[steps - 1 :: steps]
    step = statistics.median(np.delete(gaps, np.s_[steps - 1 :: steps]).tolist())
    stolen = sum(core["stolen"] for core in utilisation.end().values()) / utilisation.seconds()
    return {
        "steps": steps,
        "step_seconds": step,
        "switch_seconds": (between - step).tolist(),
        "stolen_cores": stolen,
        "calibration_seconds": [before, pace.take()],
    }


def take_rounds(
    rehearsal: Rehearsal, lengths: dict[int, int], wanted: int, pace: Pace
) -> list[dict[str, Any]]:
    """All lengths of a turn in each round.

    Args:
        rehearsal: A run of `MEMBERS`.
        lengths: Steps of a turn to turns of each member in a round.
        wanted: Rounds.
        pace: Of the machine.
    """
    members = [rehearsal.connect(name, "server") for name in rehearsal.names]
    rounds: dict[int, list[dict[str, Any]]] = {length: [] for length in lengths}
    take_round(members, 2, 2, pace)  # Compiles everything.
    for _ in range(wanted):
        for length, turns in lengths.items():
            rounds[length].append(take_round(members, length, turns, pace))
    for member in members:
        member.close()
    return [_summary(length, taken, pace) for length, taken in rounds.items()]


def switch_lines(result: dict[str, Any]) -> Iterator[str]:
    """A line for one length."""
    yield (
        f"turns of {result['steps']:>5} steps of {1e3 * result['step_seconds']:.2f} ms: a switch takes "
        f"{1e3 * result['switch_seconds']:.0f} ms, {result['steps_lost']:.1f} steps, "
        f"{result['share_lost']:.1%} of the time; "
        f"{result['clean_rounds']} of {len(result['rounds'])} rounds clean"
    )


def _summary(length: int, rounds: list[dict[str, Any]], pace: Pace) -> dict[str, Any]:
    judged = [
        {**each, "dropped": "throttled" if pace.slowdown(each["calibration_seconds"]) > SLOWEST else ""}
        for each in rounds
    ]
    counted = [each for each in judged if not each["dropped"]] or judged
    step = statistics.median(each["step_seconds"] for each in counted)
    switch = statistics.median(gap for each in counted for gap in each["switch_seconds"])
    return {
        "steps": length,
        "clean_rounds": sum(not each["dropped"] for each in judged),
        "step_seconds": step,
        "switch_seconds": switch,
        "steps_lost": switch / step,
        "share_lost": switch / (switch + length * step),
        "rounds": judged,
    }
