"""The processes of a soak: started by the nursery, killed, and started again."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.processes import environment

_START_SECONDS = 120
_KILLED = -signal.SIGKILL
# Not to start a process that fails at once a thousand times a second.
_AFTER_ERROR_SECONDS = 0.5


@dataclass
class Patient:
    """A role of the run, in whatever process it is at the moment.

    Args:
        name: `server`, `store`, or the member's.
        role: In `soak.roles`.
        given: Its arguments.
        log: All that its processes print.
        pid: 0 for none.
        is_over: It has ended by itself, with success.
        errors: How often it ended with an error of its own.
    """

    name: str
    role: str
    given: dict[str, Any]
    log: Path
    pid: int = 0
    is_over: bool = False
    errors: int = 0

    @property
    def printed(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Ward:
    """Keeps patients alive.

    Args:
        log: For what the nursery prints itself.
    """

    def __init__(self, log: Path):
        self.patients: dict[str, Patient] = {}
        self._lock = threading.RLock()
        self._told: queue.Queue[int] = queue.Queue()
        self._closing = False
        with open(log, "ab") as errors:
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "soak.nursery"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
            )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        if not self._ready.wait(_START_SECONDS):
            raise RuntimeError(f"The nursery did not start. Its log: {log}")

    def admit(self, patient: Patient) -> None:
        """Starts a role, which is started again whenever it ends without having come to its end."""
        self.patients[patient.name] = patient
        self._start(patient)

    def kill(self, names: list[str]) -> list[str]:
        """SIGKILL, and a new process at once; returns those that lived."""
        with self._lock:
            return [name for name in names if _killed(self.patients[name].pid)]

    def fill_disk(self, name: str, file_bytes: int | None) -> None:
        """No file of a process may grow beyond so many bytes; None for any size.

        To the process this is a full disk: writing fails, and what was written before stays.
        """
        with self._lock:
            pid, most = self.patients[name].pid, resource.RLIM_INFINITY
            limit = most if file_bytes is None else file_bytes
            # With 0 it would be this process' own disk.
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, most))

    def discharge(self) -> None:
        """Ends what still runs, all of this run's."""
        with self._lock:
            for patient in self.patients.values():
                patient.is_over = True
            self.kill([name for name, each in self.patients.items() if each.pid])
        self.until(lambda: not any(each.pid for each in self.patients.values()), 30)
        self.patients.clear()

    def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Waits; whether it came about in time."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def close(self) -> None:
        """Ends the nursery, and with it all that it has started."""
        with self._lock:
            self._closing = True
        assert self._nursery.stdin is not None
        self._nursery.stdin.close()
        self._nursery.wait(30)
        self._reader.join(30)
        assert self._nursery.stdout is not None
        self._nursery.stdout.close()

    def __enter__(self) -> Ward:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _start(self, patient: Patient) -> None:
        order = {"role": patient.role, "given": patient.given, "log": str(patient.log)}
        assert self._nursery.stdin is not None
        with self._lock:
            self._nursery.stdin.write(json.dumps(order).encode() + b"\n")
            self._nursery.stdin.flush()
            patient.pid = self._told.get(timeout=_START_SECONDS)

    def _listen(self) -> None:
        for line in self._nursery.stdout or ():
            said = json.loads(line)
            if "ready" in said:
                self._ready.set()
            elif "pid" in said:
                self._told.put(said["pid"])
            else:
                threading.Thread(target=self._ended, args=(said["ended"], said["code"]), daemon=True).start()

    def _ended(self, pid: int, code: int) -> None:
        with self._lock:
            patient = next((each for each in self.patients.values() if each.pid == pid), None)
            if patient is None:
                return
            patient.pid = 0
            if code == 0:
                patient.is_over = True
            if code not in (0, _KILLED):
                patient.errors += 1
        if code != _KILLED:
            time.sleep(_AFTER_ERROR_SECONDS)
        with self._lock:
            if not patient.is_over and not self._closing:
                self._start(patient)


def _killed(pid: int) -> bool:
    """Whether there was such a process; 0 for none."""
    if not pid:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # It has just ended by itself.
        return False
    return True
