"""One training computation at a time, in the order of arrival, beside any number of inferences."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from keras_split.errors import RemoteFailure
from keras_split.server.dialogue import Dialogue
from keras_split.server.lock import ReadersWriter

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class Engine:
    """Runs what changes a model on one thread, and keeps inference apart from it.

    Args:
        gradient_seconds: How long a step waits for its client's gradients, and inference with it.
    """

    def __init__(self, gradient_seconds: float = 60.0) -> None:
        self._gradient_seconds = gradient_seconds
        self._lock = ReadersWriter()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="train")
        self._failure: BaseException | None = None

    def infer(self, work: Callable[[], Result]) -> Result:
        """Runs on the caller's thread, together with other inferences.

        Raises:
            RemoteFailure: An update was left half done, so that any answer would be of no known state.
        """
        with self._lock.read():
            self.check()
            return work()

    def change(self, work: Callable[[], Result]) -> Result:
        """Runs alone, after all changes that were asked for before it."""
        dialogue = self.begin(lambda dialogue: dialogue.answer(work()))
        result: Result = dialogue.listen()[1]
        dialogue.go_on()
        return result

    def begin(self, work: Callable[[Dialogue], None]) -> Dialogue:
        """Runs alone, and returns at once what the caller listens to; after the answer the work goes on.

        A rest that fails leaves a state that nobody knows, so steps, snapshots and inferences are
        refused until a whole state has been restored.

        Args:
            work: Answers once in the dialogue.
        """
        dialogue = Dialogue(self._gradient_seconds)
        self._thread.submit(self._run, work, dialogue)
        return dialogue

    def heal(self) -> None:
        """A whole state has just been restored."""
        self._failure = None

    def stop(self) -> None:
        """Finishes what has been asked for."""
        self._thread.shutdown(wait=True)

    def _run(self, work: Callable[[Dialogue], None], dialogue: Dialogue) -> None:
        with self._lock.write():
            try:
                work(dialogue)
            except BaseException as error:  # Whatever it is, somebody must hear of it.
                if dialogue.is_answered:
                    # The caller has its answer already, so that the log alone can say where.
                    _log.error("An update was left half done.", exc_info=error)
                    self._failure = error
                else:
                    dialogue.fail(error)

    def check(self) -> None:
        """Raises `RemoteFailure` if an update was left half done."""
        if self._failure is not None:
            raise RemoteFailure(
                f"The server failed inside an update ({type(self._failure).__name__}), so that its "
                "state is unknown. Restore both halves from a snapshot."
            )
