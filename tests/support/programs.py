"""Programs that run to their end."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from support.nursery import nursery


@dataclass(frozen=True)
class Finished:
    """What a program leaves behind.

    Args:
        code: Its exit code, as `subprocess` has it.
        printed: Its standard output.
        errors: What it wrote to the standard error.
    """

    code: int
    printed: str
    errors: str


def run(arguments: Sequence[str], folder: Path, seconds: float) -> Finished:
    """Waits for `python` with these arguments in this folder; ends it when the time is over."""
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors, open(os.devnull) as nothing:
        files = [nothing.fileno(), printed.fileno(), errors.fileno()]
        child = nursery().start(arguments, files, {}, folder)
        try:
            code = child.wait(seconds)
        finally:
            child.send(signal.SIGKILL)
        return Finished(code, _text(printed), _text(errors))


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()
