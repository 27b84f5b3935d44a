"""What a command does before its work."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator


def start_tensorflow(*, exact: bool = False) -> None:
    """Imports TensorFlow and Keras without the lines that TensorFlow prints about itself.

    Args:
        exact: Compute with one thread, here and in the private server. With several, the order of a
            sum is the scheduler's choice, and even two whole models differ in the last bits.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = os.environ.get("TF_CPP_MIN_LOG_LEVEL") or "3"
    if exact:
        os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    with _silent_stderr():
        import keras  # noqa: F401
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def allow_modules_here() -> None:
    """Makes `package.module:function` find modules of the current folder, after installed ones."""
    here = os.getcwd()
    if not {here, ""} & set(sys.path):
        sys.path.append(here)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    # The level above holds only once the C++ log is set up, so the file descriptor has to be moved.
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
