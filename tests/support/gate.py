"""Holds a model inside its computation, in another process, for as long as a test wants."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import keras
import tensorflow as tf

_VARIABLE = "KERAS_SPLIT_TEST_GATE"
_POLL_SECONDS = 0.005
# Far longer than a busy machine stands still; only what hangs takes so long.
_PATIENCE_SECONDS = 150


class Gate:
    """The test's end: a folder that the other process looks into.

    Args:
        folder: Is made.
    """

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self._calls = folder / "calls"
        self._closed = folder / "closed"
        self._calls.touch()

    @property
    def variables(self) -> dict[str, str]:
        """For the other process' environment."""
        return {_VARIABLE: str(self._calls.parent)}

    def close(self, after: int = 0) -> int:
        """Holds computations once so many more have been let in; returns the number of the first."""
        first = len(self.calls()) + after + 1
        writing = self._closed.with_suffix(".writing")
        writing.write_text(str(first))
        writing.replace(self._closed)
        return first

    def open(self) -> None:
        self._closed.unlink(missing_ok=True)

    def while_held(self, meanwhile: Meanwhile, work: Callable[[int], object]) -> None:
        """Holds the next computation, and lets it go on when work on another thread is done.

        Args:
            meanwhile: Where to work.
            work: Is given the number of the computation, which need not have been reached.
        """
        number = self.close()

        def then_open() -> None:
            try:
                work(number)
            finally:
                self.open()

        meanwhile.start(then_open)

    def until_reached(self, number: int, lives: Callable[[], bool] = lambda: True) -> None:
        """Returns once so many computations have begun; the last of them may be held.

        Args:
            number: As `close` returned it.
            lives: Whether who is to reach it still can.
        """
        until(lambda: len(self.calls()) >= number or not lives())
        assert len(self.calls()) >= number, "It cannot be reached any more."

    def calls(self) -> list[int]:
        """Rows of each computation so far."""
        return [int(line) for line in self._calls.read_text().split("\n")[:-1]]


@keras.saving.register_keras_serializable("tests")
class GateLayer(keras.layers.Layer):
    """The model's end; does nothing to its input, and nothing at all without a gate."""

    def call(self, inputs):
        folder = os.environ.get(_VARIABLE)
        # Only what a server has traced is of interest; whoever places a body tries it out.
        if not folder or tf.executing_eagerly():
            return inputs
        rows = tf.shape(inputs)[0]
        with tf.control_dependencies([tf.numpy_function(_pass(Path(folder)), [rows], [])]):
            return tf.identity(inputs)


class Meanwhile:
    """Work beside a test that is busy in `fit`; what it raises comes out at the end."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor()
        self._started: list[Future[object]] = []

    def start(self, work: Callable[[], object]) -> None:
        self._started.append(self._threads.submit(work))

    def __enter__(self) -> Meanwhile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(wait=True)
        for each in self._started:
            each.result()


def until(holds: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> None:
    """Returns once something holds; fails if it takes too long."""
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up, "It did not happen in time."
        time.sleep(_POLL_SECONDS)


def _pass(folder: Path) -> Callable[[int], None]:
    def wait(rows: int) -> None:
        with open(folder / "calls", "a") as calls:
            calls.write(f"{int(rows)}\n")
        number = len((folder / "calls").read_text().splitlines())
        until(lambda: not _is_held(folder / "closed", number))

    return wait


def _is_held(closed: Path, number: int) -> bool:
    try:
        return number >= int(closed.read_text())
    except FileNotFoundError:
        return False
