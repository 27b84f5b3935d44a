"""How fast is a split training step? `python -m benchmarks.step`; README.md has the rest."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.breakdown import break_down
from benchmarks.comparisons import WIRE_BATCHES, Comparison, comparisons, quick
from benchmarks.pace import SLOWEST, Pace
from benchmarks.processes import Job, TrainingProcess
from benchmarks.report import write_report
from benchmarks.rounds import reason_to_drop, summarise, take_rounds
from benchmarks.table import comparison_lines, wire_lines
from benchmarks.wire import measure_wire

# Where a measurement of everything goes by itself; a part of it goes nowhere without `--json`.
_RESULT = Path("benchmarks/results/step.json")


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Args:
        rounds: Clean rounds wanted.
        most_rounds: Rounds after which to give up on a quiet machine.
        breaks_down: Whether to find out where the time goes as well.
    """

    rounds: int
    most_rounds: int
    breaks_down: bool


def main() -> None:
    """Measures, prints and writes."""
    options = _options()
    if len(machine.cores()) < 2:
        raise SystemExit("This benchmark puts client and server on a core each; it needs two.")
    most_rounds = options.most_rounds or 3 * options.rounds
    effort = Effort(options.rounds, most_rounds, breaks_down=not options.rounds_only)
    pace = Pace()
    report: dict[str, Any] = {"effort": {**asdict(effort), "is_quick": options.quick}}
    measured: list[dict[str, Any]] = []
    for each in _chosen(options):
        measured.append(_show(each, pace, effort))
        # Also for whoever ends the program before the last one.
        _write(report, measured, pace, options.json)
    report["wire"] = [measure_wire(batch) for batch in WIRE_BATCHES]
    print(*wire_lines(report["wire"]), sep="\n")
    _write(report, measured, pace, options.json)


def _write(report: dict[str, Any], measured: list[dict[str, Any]], pace: Pace, path: Path | None) -> None:
    """What is known so far, judged by the fastest calibration so far."""
    report["machine"] = {**machine.facts(), "fastest_calibration_seconds": pace.fastest}
    report["comparisons"] = [_judged(each, pace) for each in measured]
    if path:
        write_report(report, path)


def measure(comparison: Comparison, pace: Pace, effort: Effort) -> dict[str, Any]:
    """All about one comparison but the judgement, which may change as the pace is known better."""
    with (
        TrainingProcess(Job.of(comparison, comparison.reference)) as reference,
        TrainingProcess(Job.of(comparison, comparison.candidate)) as candidate,
    ):
        for process in (reference, candidate):
            process.ask("memory")  # Both have compiled before the first round begins.
        rounds = take_rounds(reference, candidate, pace, effort.rounds, effort.most_rounds)
        memory = {**reference.ask("memory"), **candidate.ask("memory")}
    breaks_down = effort.breaks_down and comparison.pinned
    return {
        "name": str(comparison),
        **asdict(comparison),
        "reference": comparison.reference.name,
        "candidate": comparison.candidate.name,
        "rounds": rounds,
        "memory_mib": memory,
        "breakdown": break_down(comparison, pace, effort.rounds) if breaks_down else None,
    }


def _show(comparison: Comparison, pace: Pace, effort: Effort) -> dict[str, Any]:
    result = measure(comparison, pace, effort)
    print(*comparison_lines(_judged(result, pace)), "", sep="\n", flush=True)
    return result


def _judged(result: dict[str, Any], pace: Pace) -> dict[str, Any]:
    """With what depends on the fastest calibration."""
    rounds = result["rounds"]
    breakdown = result["breakdown"]
    if breakdown:
        breakdown = {**breakdown, "is_throttled": breakdown["slowdown"] > SLOWEST}
    return {
        **result,
        "summary": summarise(rounds, result["reference"], result["candidate"], pace),
        "rounds": [{**each, "dropped": reason_to_drop(each, pace)} for each in rounds],
        "breakdown": breakdown,
    }


def _chosen(options: argparse.Namespace) -> list[Comparison]:
    chosen = [each for each in comparisons() if options.only in str(each)]
    if options.steps:
        chosen = [_of_length(each, options.steps) for each in chosen]
    if options.quick:
        return [quick(each) for each in chosen if each.pinned and each.steps_per_execution == 1]
    return chosen


def _of_length(comparison: Comparison, steps: int) -> Comparison:
    if steps % comparison.steps_per_execution:
        raise SystemExit(
            f"--steps {steps} is no multiple of {comparison.steps_per_execution} steps per execution. Choose "
            "another number, or leave these comparisons out by --only."
        )
    return replace(comparison, steps=steps)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="clean rounds wanted (default: 5)")
    parser.add_argument("--most-rounds", type=int, help="when to give up (default: 3 x rounds)")
    parser.add_argument("--only", default="", help="comparisons whose name holds this text")
    parser.add_argument("--steps", type=int, help="of a run: few, where the machine's speed soon changes")
    parser.add_argument("--rounds-only", action="store_true", help="not where the time of a step goes")
    parser.add_argument("--quick", action="store_true", help="one short round: does it run at all?")
    parser.add_argument("--json", type=Path, help=f"file for all that was measured ({_RESULT})")
    options = parser.parse_args()
    if options.quick:
        options.rounds = options.most_rounds = 1
    elif not (options.only or options.json):
        options.json = _RESULT
    return options


if __name__ == "__main__":
    main()
