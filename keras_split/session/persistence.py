"""Asking again for a while after a connection broke."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from keras_split.errors import ConnectionLost

_PAUSE_SECONDS = 0.2

T = TypeVar("T")


def persistently(ask: Callable[[], T], seconds: float) -> T:
    """Returns the answer.

    Args:
        ask: Asks once, over a new connection if the last one broke.
        seconds: For how long to try, from the first loss: a long step must leave time to ask again.

    Raises:
        SplitError: What asking failed with in the end. Only lost connections are worth asking again.
    """
    give_up = 0.0
    while True:
        try:
            return ask()
        except ConnectionLost:
            now = time.monotonic()
            give_up = give_up or now + seconds
            if now > give_up:
                raise
            time.sleep(_PAUSE_SECONDS)
