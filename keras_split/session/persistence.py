"""Asking again for a while after what passes, such as a connection that broke."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from keras_split.errors import ConnectionLost, SplitError

_PAUSE_SECONDS = 0.2

T = TypeVar("T")


def persistently(
    ask: Callable[[], T], seconds: float, passing: tuple[type[SplitError], ...] = (ConnectionLost,)
) -> T:
    """Returns the answer.

    Args:
        ask: Asks once, over a new connection if the last one broke.
        seconds: For how long to try, from the first loss: a long step must leave time to ask again.
        passing: What is worth asking again.

    Raises:
        SplitError: What asking failed with in the end.
    """
    give_up = 0.0
    while True:
        try:
            return ask()
        except passing:
            now = time.monotonic()
            give_up = give_up or now + seconds
            if now > give_up:
                raise
            time.sleep(_PAUSE_SECONDS)
