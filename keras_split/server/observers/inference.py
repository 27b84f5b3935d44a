"""What is told of one conversation in which a client asks for predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_split.server.observers.observer import Event, Observer


class InferenceSeen:
    """Adds up its requests, and tells of them at the end.

    Args:
        observer: Who is told.
        party: Who asks.
    """

    def __init__(self, observer: Observer, party: str):
        self._observer = observer
        self._party = party
        self._facts = dict.fromkeys(("requests", "rows", "bytes_received", "bytes_sent"), 0)

    def answered(self, tensors: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """One request."""
        self._observer.inference(self._party)
        self._facts["requests"] += 1
        self._facts["rows"] += len(tensors[0]) if tensors and tensors[0].ndim else 1
        self._facts["bytes_received"] += sum(each.nbytes for each in tensors)
        self._facts["bytes_sent"] += sum(each.nbytes for each in outputs)

    def ended(self) -> None:
        """The conversation is over."""
        if self._facts["requests"]:
            self._observer.see(Event("inferred", self._party, self._facts))
