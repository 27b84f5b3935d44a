"""Random models at random cuts; `make test-random` trains as many as one likes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.environment import environment

CASES = 16
# What TensorFlow would join across a cut is refused; run as they are written, graphs leave nothing to refuse.
MOST_REFUSED = {"on": 3, "off": 0}


@pytest.mark.parametrize("rewriting", ["on", "off"])
def test_random_models_train_split_as_they_train_whole_or_are_refused(rewriting):
    command = [sys.executable, "-m", "graphs", "--cases", str(CASES), "--jobs", "1", "--rewriting", rewriting]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=290, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    counts = dict(reversed(each.split(" ", 1)) for each in done.stdout.strip().splitlines()[-1].split(", "))
    equal, refused = int(counts["equal"]), int(counts.get("refused", 0))
    # One may have no cut at all.
    assert refused <= MOST_REFUSED[rewriting], done.stdout[-3000:]
    assert equal + refused >= CASES - 1, done.stdout[-3000:]
