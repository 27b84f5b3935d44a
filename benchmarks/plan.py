"""Compares predicted steps with real ones on this machine: `python -m benchmarks.plan [--json FILE]`.

Client and server have one computing thread each. They speak over loopback, whose bandwidth and round
trip are measured, and then over a line that is slowed down to a given bandwidth and round trip. The
model's own GFLOP/s are measured before each cut, and the plan gets their median.
"""

from __future__ import annotations

import os

# Before TensorFlow is loaded; the private server inherits it.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_split
from benchmarks import tcp
from benchmarks.slow_line import SlowServer
from keras_split import local
from keras_split.planning import measure_gflops

EPOCHS = 5
SLOW_LINE = {"bandwidth_mbps": 100.0, "rtt_ms": 20.0}


@dataclass(frozen=True)
class Trial:
    """A model to plan and to train.

    Args:
        model: Function in `keras_split.zoo`.
        batch: Samples of a step.
        steps: Of an epoch.
        cuts: Where to cut it.
    """

    model: str
    batch: int
    steps: int
    cuts: tuple[str, ...]


TRIALS = (
    Trial("lenet", 64, 12, ("conv1", "pool1", "conv2", "pool2", "flatten", "dense_1")),
    Trial("vgg", 32, 3, ("conv1_1", "pool1", "conv2_1", "pool2", "pool3", "fc1")),
)


def main(path: Path | None) -> None:
    """Prints a table for each model and line."""
    loopback = {"bandwidth_mbps": tcp.megabits_per_second(), "rtt_ms": tcp.round_trip_ms()}
    found = []
    for line in (loopback, SLOW_LINE):
        server = SlowServer(**line) if line is SLOW_LINE else local.LocalServer()
        local._shared[local._current()] = server
        for trial in TRIALS:
            found.append(_compare(trial, line))
            print(_table(found[-1]), flush=True)
    if path:
        path.write_text(json.dumps(found, indent=2) + "\n")


def _compare(trial: Trial, line: dict[str, float]) -> dict[str, Any]:
    gflops, real = [], {}
    for cut in trial.cuts:
        gflops.append(measure_gflops(_build(trial), trial.batch))
        real[cut] = _real_seconds(trial, cut)
    speed = statistics.median(gflops)
    plan = keras_split.plan(
        _build(trial),
        **line,
        client_gflops=speed,
        server_gflops=speed,
        batch_size=trial.batch,
        cuts=trial.cuts,
    )
    return {"load": os.getloadavg(), "gflops": gflops, "plan": plan.to_dict(), "real_seconds": real}


def _real_seconds(trial: Trial, cut: str) -> list[float]:
    """Of a step, by epoch; the first epoch, which compiles, left out."""
    split = keras_split.SplitModel(_build(trial), cut)
    split.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    random = np.random.default_rng(1)
    samples = trial.batch * trial.steps
    x = random.normal(size=(samples, *split.head.input_shape[1:])).astype("float32")
    y = random.integers(0, 10, samples)
    clock = _Clock()
    split.fit(x, y, batch_size=trial.batch, epochs=1 + EPOCHS, callbacks=[clock], verbose=0)
    split.close()
    return [seconds / trial.steps for seconds in clock.seconds[1:]]


def _build(trial: Trial) -> keras.Model:
    model = getattr(keras_split.zoo, trial.model)(seed=1)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


class _Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def _table(found: dict[str, Any]) -> str:
    plan, gflops = found["plan"], found["gflops"]
    line = plan["conditions"]
    lines = [
        f"{plan['model']}, {line['bandwidth_mbps']:,.0f} Mbit/s, {line['rtt_ms']:.3g} ms round trip, "
        f"{statistics.median(gflops):.0f} GFLOP/s ({min(gflops):.0f} to {max(gflops):.0f})",
        f"{'Cut':10}{'Predicted, ms':>15}{'Real, ms':>12}{'from':>9}{'to':>9}{'Real/predicted':>16}",
    ]
    for cut in plan["cuts"]:
        name, predicted = cut["cut"][0], 1e3 * cut["seconds"]
        real = [1e3 * each for each in found["real_seconds"][name]]
        median = statistics.median(real)
        spread = f"{min(real):9.1f}{max(real):9.1f}"
        lines.append(f"{name:10}{predicted:15.1f}{median:12.1f}{spread}{median / predicted:16.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="Also write everything to a file.")
    main(parser.parse_args().json)
