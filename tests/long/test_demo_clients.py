"""`keras-split demo --clients`: real processes train in turns, equal one machine, and are gone afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.environment import environment
from support.gate import until
from support.processes import children_of, is_running

DEMO = ["-m", "keras_split", "demo", "--clients", "2", "--epochs", "1", "--out", "files"]
PNG = b"\x89PNG\r\n"
# A server and two data owners.
PROCESSES = 3


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    data = ["--data-dir", str(folder / "data")]
    return subprocess.Popen(
        [sys.executable, *DEMO, *data, *options],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell ignores Ctrl-C for what it starts in the background, tests included.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.timeout(300)
def test_data_owners_in_turns_equal_one_machine_and_leave_no_process(tmp_path):
    with start(tmp_path, "--handover", "peer") as demo:
        printed, errors = demo.communicate(timeout=240)
    assert (demo.returncode, errors) == (0, "")
    assert "Data owners in turns equal one machine, to the last bit." in printed
    found = json.loads((tmp_path / "files" / "turns.json").read_text())
    assert found["largest_weight_difference"] == 0
    assert [turn["member"] for turn in found["turns"]] == ["hospital-a", "hospital-b"]
    for score in found["scores"].values():
        assert score["owners"] == score["one machine"]
    one, other = found["each"].values()
    assert one["Steps"] < other["Steps"]
    # All handed over, and none of it a full state yet: the start is a secret, the rest are deltas.
    assert all(each["Deltas handed over, bytes"] > 0 for each in (one, other))
    assert (tmp_path / "files" / "turns.png").read_bytes().startswith(PNG)
    assert len(found["processes"]) == PROCESSES
    assert not any(map(is_running, found["processes"].values()))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_a_demonstration_that_is_ended(tmp_path, end):
    with start(tmp_path) as demo:
        until(lambda: len(children_of(demo.pid)) == PROCESSES, seconds=120)
        children = children_of(demo.pid)
        os.kill(demo.pid, end)
        printed, _ = demo.communicate(timeout=60)
    assert demo.returncode not in (0, None)
    assert "to the last bit" not in printed
    until(lambda: not any(map(is_running, children)), seconds=60)
