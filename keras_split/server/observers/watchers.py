"""All observers of a server, as one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from keras_split.server.observers.census import Census
from keras_split.server.observers.observer import Event, Observer, StepSeen

_log = logging.getLogger(__name__)


class Watchers(Observer):
    """Tells everybody, and lets nobody who fails stop the training.

    Args:
        others: Besides the census.
        census: Counts, for `status`.
    """

    def __init__(self, others: Sequence[Observer] = (), census: Census | None = None):
        self.census = census or Census()
        self._all: tuple[Observer, ...] = (self.census, *others)

    def see(self, event: Event) -> None:
        """Tells all."""
        self._each(lambda observer: observer.see(event))

    def step(self, seen: StepSeen) -> None:
        """Tells all."""
        self._each(lambda observer: observer.step(seen))

    def inference(self, party: str) -> None:
        """Tells all."""
        self._each(lambda observer: observer.inference(party))

    def close(self) -> None:
        """Tells all."""
        self._each(lambda observer: observer.close())

    def _each(self, tell: Callable[[Observer], None]) -> None:
        for observer in self._all:
            try:
                tell(observer)
            except Exception:
                _log.exception("%s failed; the server goes on.", type(observer).__name__)
