"""A model in training, whole or split, with its measurements."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_split
from benchmarks import machine, parts, recording, timeline
from benchmarks.comparisons import Comparison
from benchmarks.processes import Job
from benchmarks.server import BenchmarkServer, use_for_all


class Whole:
    """The model in this process.

    Args:
        job: What to train.
    """

    def __init__(self, job: Job):
        self._comparison = job.comparison
        self._way = job.way
        self._imported_mib = machine.peak_memory_mib(os.getpid())
        self._x, self._y = _data(job.comparison)
        self._model = self._build()
        self._model.compile(
            optimizer="adam",
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            steps_per_execution=job.comparison.steps_per_execution,
        )
        self._fit()  # Compiles everything.

    def train(self) -> dict[str, Any]:
        """One measured run."""
        before = self._cpu_seconds()
        seconds = self._fit()
        cpu = {name: value - before[name] for name, value in self._cpu_seconds().items()}
        return {"seconds": seconds, "cpu_seconds": cpu}

    def memory(self) -> dict[str, float]:
        """Peaks so far, in MiB; `imported` is this process before it had a model or data."""
        return {"imported": self._imported_mib, "whole": machine.peak_memory_mib(os.getpid())}

    def parts(self) -> dict[str, float]:
        """Seconds of the model's own parts of a step, each timed by itself."""
        return parts.whole(self._model, self._x, self._y, self._comparison)

    def close(self) -> None:
        """Nothing to end."""

    def _build(self) -> Any:
        return getattr(keras_split.zoo, self._comparison.model)(seed=1)

    def _cpu_seconds(self) -> dict[str, float]:
        return {"whole": machine.cpu_seconds(os.getpid())}

    def _fit(self) -> float:
        clock = _EpochClock()
        self._model.fit(
            self._x,
            self._y,
            batch_size=self._comparison.batch,
            shuffle=False,
            verbose=0,
            callbacks=[clock],
        )
        return clock.seconds


class Split(Whole):
    """The head in this process, the body in a server process of its own.

    Args:
        job: What to train.
    """

    _marks: Path | None = None

    def __init__(self, job: Job):
        self._server = BenchmarkServer(job.server_core, marks=self._marks, counts=job.counts)
        use_for_all(self._server)
        super().__init__(job)

    def memory(self) -> dict[str, float]:
        """Peaks so far, in MiB."""
        return {
            "imported": self._imported_mib,
            f"{self._way.name} client": machine.peak_memory_mib(os.getpid()),
            f"{self._way.name} server": machine.peak_memory_mib(self._server.process.pid),
        }

    def parts(self) -> dict[str, float]:
        """Seconds of the head's own parts of a step, each timed by itself."""
        return parts.head(self._model, self._x, self._comparison)

    def close(self) -> None:
        """Ends the server."""
        self._model.close()
        self._server.stop()

    def _build(self) -> Any:
        return keras_split.SplitModel(super()._build(), self._way.cut, self._way.second_cut or None)

    def _cpu_seconds(self) -> dict[str, float]:
        return {
            "client": machine.cpu_seconds(os.getpid()),
            "server": machine.cpu_seconds(self._server.process.pid),
        }


class Recorded(Split):
    """A split model with instruments, so not for comparing speed.

    Args:
        job: What to train, and what to record.
    """

    def __init__(self, job: Job):
        self._folder = tempfile.TemporaryDirectory()
        if job.records:
            self._marks = Path(self._folder.name, "marks")
            recording.create(self._marks)
        self._recorder = recording.ClientRecorder(self._marks)
        super().__init__(job)

    def breakdown(self) -> dict[str, Any]:
        """Where the time of a step goes, in seconds per step."""
        first = self._recorder.exchanges
        seconds = self._fit() / self._comparison.steps
        marks = self._recorder.since(first)
        exchanges = 2 if self._way.second_cut else 1
        return {"step": seconds, **timeline.break_down(marks, self.parts(), exchanges)}

    def traffic(self) -> dict[str, dict[str, int]]:
        """Bytes of one run, up and down: the tensors' own, as metered, and on the socket."""
        before = self._traffic()
        self._fit()
        after = self._traffic()
        return {
            kind: {way: after[kind][way] - before[kind][way] for way in ways} for kind, ways in before.items()
        }

    def close(self) -> None:
        """Ends the server, and forgets its marks."""
        super().close()
        self._folder.cleanup()

    def _traffic(self) -> dict[str, dict[str, int]]:
        meter = self._model._halves.session().meter
        return {
            "tensors": dict(self._recorder.tensor_bytes),
            "metered": {"up": meter.sent, "down": meter.received},
            "socket": dict(self._server.socket_bytes()),
        }


def trainee(job: Job) -> Whole:
    """The kind that a job asks for."""
    if not job.way.cut:
        return Whole(job)
    return Recorded(job) if job.records or job.counts else Split(job)


class _EpochClock(keras.callbacks.Callback):
    """Times an epoch without what `fit` does once.

    It has no batch hooks, which would slow the loop down.
    """

    seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts."""
        del epoch, logs
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stops."""
        del epoch, logs
        self.seconds = time.perf_counter() - self._began


def _data(comparison: Comparison) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    count = comparison.batch * comparison.steps
    x = random.standard_normal((count, *comparison.shape), np.float32)
    return x, random.integers(0, 10, count)
