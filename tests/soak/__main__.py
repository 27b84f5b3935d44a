"""`python -m soak --kills 200`: real processes, killed at random instants, end as if nothing had happened."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path

from soak import report, trial
from soak.plan import Plan
from soak.trial import Outcome
from soak.ward import Ward

_SEED_BITS = 32


def main() -> int:
    """The exit code: 0 if every run ended equal."""
    given = _arguments()
    print(f"Seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        outcomes = soak(given.kills, given.seed, given.epochs, given.keep or Path(scratch))
    print(report.text(given.seed, outcomes))
    if given.json:
        given.json.write_text(json.dumps(report.values(given.seed, outcomes), indent=2) + "\n")
    return 0 if all(each.is_equal for each in outcomes) else 1


def soak(kills: int, seed: int, epochs: int, folder: Path) -> list[Outcome]:
    """Runs, one after the other, until there were so many kills; ends with the first that is not equal."""
    outcomes: list[Outcome] = []
    folder.mkdir(parents=True, exist_ok=True)
    with Ward() as ward:
        while (done := sum(len(kill.names) for each in outcomes for kill in each.kills)) < kills:
            plan = Plan.drawn(seed + len(outcomes), epochs)
            place = folder / f"run-{len(outcomes)}"
            place.mkdir()
            outcomes.append(trial.run(plan, place, ward, kills - done))
            print(report.line(outcomes[-1]), flush=True)
            if not outcomes[-1].is_equal:
                break
    return outcomes


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="Processes to kill, at least.")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbits(_SEED_BITS), help="Of all that is random."
    )
    parser.add_argument("--epochs", type=int, default=25, help="Of each owner in one run.")
    parser.add_argument("--json", type=Path, help="File for the numbers.")
    parser.add_argument("--keep", type=Path, help="Empty folder for logs and states, which are kept then.")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
