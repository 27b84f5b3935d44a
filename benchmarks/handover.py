"""What does a handover cost? `python -m benchmarks.handover`; README.md has the rest."""

from __future__ import annotations

import os

# Before TensorFlow is loaded.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import machine, switching, ways
from benchmarks.heads import HEADS, Head, HeadInTraining
from benchmarks.pace import Pace
from benchmarks.report import write_report
from benchmarks.states import made_up, moved
from keras_split import zoo
from keras_split.state import Bundle, applied, difference, dump, parse, state_digest
from keras_split.verification.rehearsal import Rehearsal

TURNS = (1, 10, 100)
SIZES_MB = (0.1, 1, 10, 100)
# Steps of a turn to turns of each owner in a round.
LENGTHS = {10: 4, 100: 2, 1000: 1}
# Steps before the first state, so that an optimizer has something to remember.
_WARM_UP = 20
_REPEATS = 5
_MAX_BYTES = 1 << 30
_MS = 1000.0
_RESULT = Path("benchmarks/results/handover.json")

Result = TypeVar("Result")


def main() -> None:
    """Measures, prints and writes."""
    options = _options()
    before = machine.calibrate()
    heads = [_show(measure_head(each, options.turns), head_lines) for each in options.heads]
    sizes = [_show(measure_size(each), size_lines) for each in options.sizes]
    report = {
        "machine": machine.facts(),
        "calibration_seconds": {"before": before, "after": machine.calibrate()},
        "heads": heads,
        "sizes": sizes,
        **measure_run(options),
    }
    if options.json:
        write_report(report, options.json)


def measure_head(head: Head, turns: tuple[int, ...]) -> dict[str, Any]:
    """Bytes and seconds of handing over after turns of so many steps, one turn after the other."""
    training = HeadInTraining(head)
    training.train(_WARM_UP)
    return {"name": str(head), "turns": [_turn(training, steps) for steps in turns]}


def measure_size(megabytes: float) -> dict[str, Any]:
    """Bytes and seconds for a made-up state of a given size; what is sealed and sent comes from it."""
    base = made_up(megabytes)
    return {"megabytes": megabytes, **_handed_over(base, moved(base))}


def measure_run(options: argparse.Namespace) -> dict[str, Any]:
    """Switching turns, then sealing and the ways of handing over, each with the server of a run."""
    pace = Pace()
    with _rehearsal(switching.MEMBERS) as rehearsal:
        switches = switching.take_rounds(rehearsal, options.lengths, options.rounds, pace)
    for each in switches:
        _show(each, switching.switch_lines)
    with _rehearsal(ways.MEMBERS) as rehearsal, contextlib.closing(ways.Ways(rehearsal)) as opened:
        found = ways.take_rounds(opened, options.sizes, options.rounds, pace)
    for each in found:
        _show(each, ways.way_lines)
    return {"switches": switches, "ways": found}


def head_lines(result: dict[str, Any]) -> Iterator[str]:
    """A block for one head."""
    first = result["turns"][0]["bytes"]
    yield f"{result['name']}: a state of {first['state']:,} bytes, {first['weights']:,} of them weights"
    yield f"  {'steps':>7}{'full':>12}{'':7}{'delta':>12}{'':7}   dump  parse  difference  applied, ms"
    for turn in result["turns"]:
        yield f"  {turn['steps']:>7}{_columns(turn)}"


def size_lines(result: dict[str, Any]) -> Iterator[str]:
    """A block for one size."""
    yield f"made up, {result['megabytes']:g} MB"
    yield f"  {'':7}{_columns(result)}"


@contextlib.contextmanager
def _rehearsal(members: int) -> Iterator[Rehearsal]:
    model = zoo.lenet((28, 28, 1), seed=1)
    model.compile("adam", "sparse_categorical_crossentropy")
    rehearsal = Rehearsal(model, ("pool2", None), [f"client-{at}" for at in range(members)])
    try:
        yield rehearsal
    finally:
        rehearsal.stop()


def _turn(training: HeadInTraining, steps: int) -> dict[str, Any]:
    base = training.state()
    training.train(steps)
    return {"steps": steps, **_handed_over(base, training.state())}


def _handed_over(base: Bundle, result: Bundle) -> dict[str, Any]:
    """Both ways, packed and unpacked on one core."""
    seconds = {}
    with machine.pinned(machine.cores()[0]):
        seconds["dump"], full = _timed(lambda: dump(result))
        seconds["parse"], parsed = _timed(lambda: parse(full, _MAX_BYTES))
        seconds["difference"], delta = _timed(lambda: difference(base, result))
        seconds["applied"], found = _timed(lambda: applied(base, delta, _MAX_BYTES))
    if not state_digest(result) == state_digest(parsed) == state_digest(found):
        raise RuntimeError("What came out is not what went in.")
    sizes = {"state": _bytes(result), "weights": _bytes(_weights(result))}
    return {"bytes": {**sizes, "full": len(full), "delta": len(delta)}, "seconds": seconds}


def _timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of the fastest of five, since others on the machine can only make it slower."""
    fastest = float("inf")
    for _ in range(_REPEATS):
        began = time.perf_counter()
        result = call()
        fastest = min(fastest, time.perf_counter() - began)
    return fastest, result


def _columns(found: dict[str, Any]) -> str:
    sizes, seconds = found["bytes"], found["seconds"]
    shares = "".join(f"{sizes[kind]:>12,}{sizes[kind] / sizes['state']:7.1%}" for kind in ("full", "delta"))
    widths = {"dump": 7, "parse": 7, "difference": 12, "applied": 9}
    return shares + "".join(f"{seconds[name] * _MS:{width}.1f}" for name, width in widths.items())


def _weights(state: Bundle) -> Bundle:
    return {name: each for name, each in state.items() if not name.startswith("optimizer/")}


def _bytes(state: Bundle) -> int:
    return sum(each.nbytes for each in state.values())


def _show(result: dict[str, Any], lines: Callable[[dict[str, Any]], Iterator[str]]) -> dict[str, Any]:
    print(*lines(result), sep="\n", flush=True)
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.handover", description=__doc__)
    parser.add_argument("--only", default="", help="heads whose name holds this text")
    parser.add_argument("--no-heads", action="store_true", help="no heads in training")
    parser.add_argument("--quick", action="store_true", help="few steps, small sizes: does it run at all?")
    parser.add_argument("--json", type=Path, help=f"file for all that was measured ({_RESULT})")
    options = parser.parse_args()
    options.turns = TURNS[:2] if options.quick else TURNS
    options.sizes = SIZES_MB[:2] if options.quick else SIZES_MB
    options.heads = [each for each in HEADS if options.only in str(each) and not options.no_heads]
    options.lengths = {10: 2} if options.quick else LENGTHS
    options.rounds = 1 if options.quick else _REPEATS
    if not (options.quick or options.only or options.json):
        options.json = _RESULT
    return options


if __name__ == "__main__":
    main()
