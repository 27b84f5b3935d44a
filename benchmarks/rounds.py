"""Two ways to train side by side, until enough rounds were taken at full speed."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import machine
from benchmarks.pace import SLOWEST, Pace
from benchmarks.processes import TrainingProcess

# Cores' worth of other processes' work, beyond which a round says more about them.
_MOST_FOREIGN_CORES = 0.15

Round = dict[str, Any]


def take_rounds(
    reference: TrainingProcess, candidate: TrainingProcess, pace: Pace, wanted: int, most: int
) -> list[Round]:
    """Takes rounds until `wanted` are clean or `most` were taken."""
    rounds: list[Round] = []
    while len(rounds) < most and len(clean_rounds(rounds, pace)) < wanted:
        # Who goes first changes, so that a slope over the round favours neither.
        order = (reference, candidate) if len(rounds) % 2 == 0 else (candidate, reference)
        taken = _take_round(order, pace)
        rounds.append({**taken, "ratio": _rate(taken, candidate) / _rate(taken, reference)})
        _say(rounds, pace, wanted)
    return rounds


def _say(rounds: Sequence[Round], pace: Pace, wanted: int) -> None:
    """Minutes may pass before there is a table."""
    ratio, verdict = rounds[-1]["ratio"], reason_to_drop(rounds[-1], pace) or "counts"
    counted = len(clean_rounds(rounds, pace))
    print(
        f"round {len(rounds)}: ratio {ratio:.3f}, {verdict}; {counted} of {wanted}",
        file=sys.stderr,
        flush=True,
    )


def clean_rounds(rounds: Sequence[Round], pace: Pace) -> list[Round]:
    """Those that count, by the fastest calibration known now."""
    return [each for each in rounds if not reason_to_drop(each, pace)]


def reason_to_drop(taken: Round, pace: Pace) -> str:
    """Why a round does not count; empty if it does."""
    if pace.slowdown(taken["calibration_seconds"]) > SLOWEST:
        return "throttled"
    if max(taken[name]["foreign_cores"] for name in taken["order"]) > _MOST_FOREIGN_CORES:
        return "disturbed"
    return ""


def summarise(rounds: Sequence[Round], reference: str, candidate: str, pace: Pace) -> dict[str, Any]:
    """Medians and bests of the rounds that count, by the names of the two."""
    clean = clean_rounds(rounds, pace)
    reasons = [reason_to_drop(each, pace) for each in rounds]
    summary: dict[str, Any] = {
        "clean_rounds": len(clean),
        "throttled_rounds": reasons.count("throttled"),
        "disturbed_rounds": reasons.count("disturbed"),
    }
    if clean:
        rates = {
            name: _middle_and_best([each[name]["samples_per_second"] for each in clean])
            for name in (reference, candidate)
        }
        summary |= {f"{name}_samples_per_second": rate for name, rate in rates.items()}
        summary["ratio"] = _middle_and_best([each["ratio"] for each in clean])
        summary["ratio"]["of_bests"] = rates[candidate]["best"] / rates[reference]["best"]
    return summary


def _take_round(order: Sequence[TrainingProcess], pace: Pace) -> Round:
    taken: Round = {
        "order": [each.job.way.name for each in order],
        "calibration_seconds": [pace.take()],
    }
    for process in order:
        taken[process.job.way.name] = _watched_run(process)
        taken["calibration_seconds"].append(pace.take())
    return taken


def _rate(taken: Round, process: TrainingProcess) -> float:
    rate: float = taken[process.job.way.name]["samples_per_second"]
    return rate


def _watched_run(process: TrainingProcess) -> dict[str, Any]:
    comparison = process.job.comparison
    utilisation = machine.Utilisation()
    run = process.ask("train")
    cores, seconds = utilisation.end(), utilisation.seconds()
    busy = sum(core["busy"] for core in cores.values())
    return {
        **run,
        "samples_per_second": comparison.batch * comparison.steps / run["seconds"],
        "cores": {
            str(core): {name: value / seconds for name, value in shares.items()}
            for core, shares in cores.items()
        },
        "foreign_cores": max(0.0, busy - sum(run["cpu_seconds"].values())) / seconds,
    }


def _middle_and_best(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "best": max(values)}
