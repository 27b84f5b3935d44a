"""`python -m graphs --cases 500`: how many of so many random models train split as whole."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections import Counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Sums are divided among threads, and the promise is for one number of them.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def _report(found, shrinks: bool) -> None:
    from graphs.compared import compared, smallest

    print(f"case {found.number}: {found.kind}: {found.why.splitlines()[0][:200] if found.why else ''}")
    if found.kind != "differs" or not shrinks:
        return
    print(smallest(found.draft, lambda draft: compared(found.number, draft).kind == "differs"), flush=True)


def main() -> None:
    """Exit code 1 if a model differs."""
    parser = argparse.ArgumentParser(prog="graphs", description=__doc__)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--first", type=int, default=0, help="Number of the first case.")
    parser.add_argument("--rewriting", choices=["on", "off"], default="on", help="TensorFlow's, of graphs.")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--shrink", action="store_true", help="Make small what differs.")
    given = parser.parse_args()
    from graphs.compared import outcome, settle

    kinds: Counter[str] = Counter()
    settle(given.rewriting)
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(given.jobs, settle, (given.rewriting,)) as pool:
        numbers = range(given.first, given.first + given.cases)
        for done, found in enumerate(pool.imap_unordered(outcome, numbers), start=1):
            kinds[found.kind] += 1
            if found.kind in ("differs", "refused"):
                _report(found, given.shrink)
            if done % 20 == 0:
                print(f"{done} of {given.cases}: {dict(kinds)}", flush=True)
    print(", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    raise SystemExit(kinds["differs"] > 0)


if __name__ == "__main__":
    main()
