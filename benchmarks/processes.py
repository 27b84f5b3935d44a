"""Training processes, as the benchmark sees them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import machine
from benchmarks.comparisons import Comparison, Way


@dataclass(frozen=True)
class Job:
    """What a training process does.

    Args:
        comparison: Model and data.
        way: How it is trained; split with a private server.
        client_core: Where the process runs; None for anywhere.
        server_core: Where its server runs.
        records: Note when a split step reaches which point. Costs some microseconds a step.
        counts: Put a proxy between client and server that counts bytes.
    """

    comparison: Comparison
    way: Way
    client_core: int | None = None
    server_core: int | None = None
    records: bool = False
    counts: bool = False

    @classmethod
    def of(cls, comparison: Comparison, way: Way, **options: bool) -> Job:
        """Client on the first core, server on the second; the whole model where the client is."""
        if not comparison.pinned:
            return cls(comparison, way, **options)
        first, second = machine.cores()[:2]
        return cls(comparison, way, first, second, **options)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Undoes `to_json`."""
        values = json.loads(text)
        values["comparison"]["shape"] = tuple(values["comparison"]["shape"])
        built = {"comparison": Comparison(**values["comparison"]), "way": Way(*values["way"])}
        return cls(**{**values, **built})

    def to_json(self) -> str:
        """For the command line of the process."""
        return json.dumps(asdict(self))


class TrainingProcess:
    """Runs `benchmarks.worker`, one command at a time, and waits between them without work.

    Args:
        job: What it does.
    """

    def __init__(self, job: Job):
        self.job = job
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        with machine.pinned(job.client_core):
            self._process: Any = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", job.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                },
            )

    def ask(self, command: str) -> Any:
        """Has it do something, and returns the result.

        Raises:
            RuntimeError: The process ended; the text has the end of its log.
        """
        with contextlib.suppress(BrokenPipeError):  # The missing answer says it all.
            print(command, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            self._process.wait()
            raise RuntimeError(f"{self.job.comparison}: the process ended. Its log: {self._tail()}")
        return json.loads(answer)

    def __enter__(self) -> TrainingProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stdin.close()  # It ends when there are no more commands.
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _tail(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2000:]
