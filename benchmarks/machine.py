"""The machine: its facts, its cores, and whether they ran at full speed.

Virtual machines may run at half speed for minutes while they look idle, so nothing here trusts a
clock alone: a fixed amount of work on each core before and after each run tells what the core was worth.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

# What most of a step is made of. Where others use the same processor, a loop of Python took up to 1.7 times
# its shortest time, from one second to the next, and the steps did not (README.md).
_PRODUCTS, _ROWS = 100, 512
_TICK_SECONDS = 1.0 / os.sysconf("SC_CLK_TCK")
_PACKAGES = ("keras-split", "keras", "tensorflow", "grpcio", "protobuf", "numpy", "zstandard")


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keeps this thread, and the processes that it starts, on one core; None for any."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def calibrate() -> list[float]:
    """Seconds that fixed matrix products take on each core, one core after the other."""
    return [_calibrate(core) for core in cores()]


def facts() -> dict[str, object]:
    """What a reader needs to know about the machine; nothing that identifies it."""
    return {
        "cores": len(cores()),
        "processor": _processor(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def peak_memory_mib(pid: int) -> float:
    """The most memory that a process has held since it started (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("The kernel does not tell a process' peak memory.")


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its threads so far, to the kernel's tick of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_SECONDS


class Utilisation:
    """What each core did between two moments, by the kernel's count."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._before = _core_ticks()

    def end(self) -> dict[int, dict[str, float]]:
        """Seconds since the beginning, by core: `busy` in any process, and `stolen` by the host."""
        ticks = _core_ticks()
        return {
            core: {
                "busy": (ticks[core][0] - self._before[core][0]) * _TICK_SECONDS,
                "stolen": (ticks[core][1] - self._before[core][1]) * _TICK_SECONDS,
            }
            for core in cores()
        }

    def seconds(self) -> float:
        """Wall time since the beginning."""
        return time.perf_counter() - self._began


def _calibrate(core: int) -> float:
    matrix = np.full((_ROWS, _ROWS), 1 / _ROWS, np.float32)
    with pinned(core), threadpool_limits(1):
        began = time.perf_counter()
        for _ in range(_PRODUCTS):
            matrix = matrix @ matrix
        return time.perf_counter() - began


def _core_ticks() -> dict[int, tuple[int, int]]:
    """By core: ticks in user, nice, system and interrupts; and ticks stolen."""
    found = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _, _, irq, softirq, steal = map(int, values[:8])
            found[int(name[3:])] = (user + nice + system + irq + softirq, steal)
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
