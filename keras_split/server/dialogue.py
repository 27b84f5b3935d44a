"""Between the thread that computes on a body and the one that talks with a client."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import Any

from keras_split.errors import DeadlineExceeded

_PATIENCE_SECONDS = 0.1


class Dialogue:
    """What two threads say to each other about one piece of work.

    The working thread answers once, at the end of what others wait for; before that it may ask.

    Args:
        seconds: How long a question waits for its reply.
    """

    def __init__(self, seconds: float):
        self.is_answered = False
        self._seconds = seconds
        self._said: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        self._replies: SimpleQueue[Any] = SimpleQueue()
        self._on_its_way = threading.Event()

    def answer(self, value: Any) -> None:
        """Gives the answer, and a moment in which it gets on its way.

        On one core the rest of the work would otherwise take its time from the answer.
        """
        self.is_answered = True
        self._said.put((True, value))
        self._on_its_way.wait(_PATIENCE_SECONDS)

    def ask(self, value: Any) -> Any:
        """Returns the reply.

        Raises:
            Exception: Whatever the other thread gave in place of a reply.
            DeadlineExceeded: There was none in time.
        """
        self._said.put((False, value))
        try:
            reply = self._replies.get(timeout=self._seconds)
        except Empty:
            raise DeadlineExceeded(
                f"The gradients of a step did not come within {self._seconds:g} s, and the model has to "
                "answer others. Nothing was applied. Raise the server's `--gradient-seconds` if the "
                "client's layers take this long."
            ) from None
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def fail(self, error: BaseException) -> None:
        """The work ended without an answer."""
        self._said.put((True, error))

    def listen(self) -> tuple[bool, Any]:
        """Whether it is the answer, and what was said.

        Raises:
            BaseException: What the work failed with.
        """
        is_answer, value = self._said.get()
        if isinstance(value, BaseException):
            raise value
        return is_answer, value

    def reply(self, value: Any) -> None:
        """To the question; an exception ends the work."""
        self._replies.put(value)

    def go_on(self) -> None:
        """The answer is on its way."""
        self._on_its_way.set()
