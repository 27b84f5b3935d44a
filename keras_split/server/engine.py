"""One training computation at a time, in the order of arrival, beside any number of inferences."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from keras_split.errors import RemoteFailure
from keras_split.server.lock import ReadersWriter

Result = TypeVar("Result")
_PATIENCE_SECONDS = 0.1


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

        def answer_all(answer: Callable[[Result], None]) -> None:
            answer(work())

        result, go_on = self.change_and_answer(answer_all)
        go_on()
        return result

    def change_and_answer(
        self, work: Callable[[Callable[[Result], None]], None]
    ) -> tuple[Result, Callable[[], None]]:
        """Returns what the work answers as soon as it does; the rest of the work goes on.

        A rest that fails leaves a state that nobody knows, so every later change is refused until a
        whole state has been restored.

        Args:
            work: Calls its argument once, with the answer.

        Returns:
            The answer, and a function to call once it is on its way to the client: on one core the
            rest would otherwise take its time from the answer. The rest does not wait for long.
        """
        result: Future[Result] = Future()
        on_its_way = threading.Event()

        def answer(value: Result) -> None:
            result.set_result(value)
            on_its_way.wait(_PATIENCE_SECONDS)

        self._thread.submit(self._run, work, answer, result)
        return result.result(), on_its_way.set

    def heal(self) -> None:
        """A whole state has just been restored."""
        self._failure = None

    def stop(self) -> None:
        """Finishes what has been asked for."""
        self._thread.shutdown(wait=True)

    def _run(self, work: Callable[..., None], answer: Any, result: Future[Any]) -> None:
        with self._lock.write():
            try:
                work(answer)
            except BaseException as error:  # Whatever it is, somebody must hear of it.
                if result.done():
                    self._failure = error
                else:
                    result.set_exception(error)

    def check(self) -> None:
        """Raises `RemoteFailure` if an update was left half done."""
        if self._failure is not None:
            raise RemoteFailure(
                f"The server failed inside an update ({type(self._failure).__name__}), so that its "
                "state is unknown. Restore both halves from a snapshot."
            )
