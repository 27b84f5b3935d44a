"""The processes of a soak: started by the nursery, killed, and started again."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.nursery import Child, nursery

_CLOSE_SECONDS = 30
_KILLED = -signal.SIGKILL
# Not to start a process that fails at once a thousand times a second.
_AFTER_ERROR_SECONDS = 0.5


@dataclass
class Patient:
    """A program of the run, in whatever process it is at the moment.

    Args:
        name: `server`, `store`, or the member's.
        arguments: `-m`, a module, and what it is given.
        log: All that its processes print.
        variables: Of its environment.
        child: Its process.
        is_over: It has ended by itself, with success.
        errors: How often it ended with an error of its own.
    """

    name: str
    arguments: Sequence[str]
    log: Path
    variables: dict[str, str] = field(default_factory=dict)
    child: Child | None = None
    is_over: bool = False
    errors: int = 0

    @property
    def runs(self) -> bool:
        return self.child is not None and self.child.code is None

    @property
    def printed(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Ward:
    """Keeps patients alive."""

    def __init__(self) -> None:
        self.patients: dict[str, Patient] = {}
        self._keepers: list[threading.Thread] = []
        self._lock = threading.RLock()

    def admit(self, patient: Patient) -> None:
        """Starts a program, which is started again whenever it ends without having come to its end."""
        self.patients[patient.name] = patient
        _start(patient)
        keeper = threading.Thread(target=self._keep, args=(patient,), daemon=True)
        self._keepers.append(keeper)
        keeper.start()

    def kill(self, names: list[str]) -> list[str]:
        """SIGKILL, and a new process at once; returns those that lived."""
        with self._lock:
            children = {name: self.patients[name].child for name in names}
            return [name for name, each in children.items() if each and each.send(signal.SIGKILL)]

    def fill_disk(self, name: str, file_bytes: int | None) -> None:
        """No file of a process may grow beyond so many bytes; None for any size.

        To the process this is a full disk: writing fails, and what was written before stays.
        """
        with self._lock:
            patient, most = self.patients[name], resource.RLIM_INFINITY
            limit = most if file_bytes is None else file_bytes
            if patient.child is not None and patient.runs:
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(patient.child.pid, resource.RLIMIT_FSIZE, (limit, most))

    def discharge(self) -> None:
        """Ends what still runs, all of this run's."""
        with self._lock:
            for patient in self.patients.values():
                patient.is_over = True
            self.kill(list(self.patients))
        for keeper in self._keepers:
            keeper.join(_CLOSE_SECONDS)
        self._keepers.clear()
        self.patients.clear()

    def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Waits; whether it came about in time."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def __enter__(self) -> Ward:
        return self

    def __exit__(self, *exception: object) -> None:
        self.discharge()

    def _keep(self, patient: Patient) -> None:
        """On a thread of the patient's: waits for its ends, and starts it again."""
        while not patient.is_over:
            assert patient.child is not None
            code = patient.child.wait()
            patient.is_over = patient.is_over or code == 0
            if code not in (0, _KILLED):
                patient.errors += 1
                time.sleep(_AFTER_ERROR_SECONDS)
            with self._lock:
                if not patient.is_over:
                    _start(patient)


def _start(patient: Patient) -> None:
    with open(os.devnull, "rb") as nothing, open(patient.log, "ab") as log:
        files = [nothing.fileno(), log.fileno(), log.fileno()]
        patient.child = nursery().start(patient.arguments, files, patient.variables)
