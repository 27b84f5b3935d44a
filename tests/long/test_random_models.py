"""Random models at random cuts; `make test-random` trains as many as one likes."""

from __future__ import annotations

import subprocess
import sys

from support.environment import environment

CASES = 16


def test_random_models_run_as_they_are_written_train_split_as_they_train_whole():
    command = [sys.executable, "-m", "graphs", "--cases", str(CASES), "--jobs", "1", "--rewriting", "off"]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=290, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    # Hardly any may have been refused, or have no cut at all.
    counts = dict(reversed(each.split(" ", 1)) for each in done.stdout.strip().splitlines()[-1].split(", "))
    assert int(counts["equal"]) >= CASES - 1, done.stdout[-3000:]
