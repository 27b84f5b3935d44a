"""One training computation at a time, in the order of arrival, beside any number of inferences."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from keras_split.errors import RemoteFailure
from keras_split.server.lock import ReadersWriter

Result = TypeVar("Result")


class Engine:
    """Runs what changes a model on one thread, and keeps inference apart from it."""

    def __init__(self) -> None:
        self._lock = ReadersWriter()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="train")
        self._failure: BaseException | None = None

    def infer(self, work: Callable[[], Result]) -> Result:
        """Runs on the caller's thread, together with other inferences."""
        with self._lock.read():
            return work()

    def change(self, work: Callable[[], Result]) -> Result:
        """Runs alone, after all changes that were asked for before it."""
        return self.change_in_two(lambda: (work(), lambda: None))

    def change_in_two(self, work: Callable[[], tuple[Result, Callable[[], None]]]) -> Result:
        """Returns the first half's result as soon as it is known; the rest runs on.

        A rest that fails leaves a state that nobody knows, so every later change is refused until a
        whole state has been restored.

        Args:
            work: Computes the result, and returns it with the rest of the work.
        """
        result: Future[Result] = Future()
        self._thread.submit(self._run, work, result)
        return result.result()

    def heal(self) -> None:
        """A whole state has just been restored."""
        self._failure = None

    def stop(self) -> None:
        """Finishes what has been asked for."""
        self._thread.shutdown(wait=True)

    def _run(self, work: Callable[[], Any], result: Future[Any]) -> None:
        with self._lock.write():
            try:
                value, rest = work()
            except BaseException as error:  # Whatever it is, the caller's thread must hear of it.
                result.set_exception(error)
                return
            result.set_result(value)
            try:
                rest()
            except BaseException as error:
                self._failure = error

    def check(self) -> None:
        """Raises `RemoteFailure` if an update was left half done."""
        if self._failure is not None:
            raise RemoteFailure(
                f"The server failed inside an update ({type(self._failure).__name__}), so that its "
                "state is unknown. Restore both halves from a snapshot."
            )
