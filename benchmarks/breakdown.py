"""Where the time of a split step goes, beside the parts of the whole model's."""

from __future__ import annotations

from typing import Any

from benchmarks.comparisons import WHOLE, Comparison
from benchmarks.pace import SLOWEST, Pace
from benchmarks.processes import Job, TrainingProcess

_ATTEMPTS = 6


def break_down(comparison: Comparison, pace: Pace, wanted: int) -> dict[str, Any]:
    """The fastest of `wanted` recorded runs at full speed, or of any if there was none.

    The recorded processes are not those of the rounds, which carry no instruments.
    """
    recorded = Job.of(comparison, comparison.candidate, records=True)
    with (
        TrainingProcess(Job.of(comparison, WHOLE)) as whole,
        TrainingProcess(recorded) as split,
    ):
        taken: list[dict[str, Any]] = []
        for _ in range(_ATTEMPTS):
            taken.append(_take(whole, split, pace))
            clean = [each for each in taken if each["slowdown"] <= SLOWEST]
            if len(clean) >= wanted:
                break
    return min(clean or taken, key=lambda each: each["typical_step"])


def _take(whole: TrainingProcess, split: TrainingProcess, pace: Pace) -> dict[str, Any]:
    steps = whole.job.comparison.steps
    calibrations = [pace.take()]
    whole_step = whole.ask("train")["seconds"] / steps
    found: dict[str, Any] = split.ask("breakdown")
    found["whole"] = _whole_parts(whole_step, whole.ask("parts"))
    calibrations.append(pace.take())
    return {**found, "slowdown": pace.slowdown(calibrations)}


def _whole_parts(step: float, alone: dict[str, float]) -> dict[str, float]:
    return {"step": step, **alone, "rest": step - sum(alone.values())}
