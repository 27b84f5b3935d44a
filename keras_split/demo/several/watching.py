"""What a data owner of the demonstration tells while it trains."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_split.callbacks import TurnWatcher
from keras_split.demo.several.variables import of_client
from keras_split.owners import Waiting
from keras_split.state import dump

_SHOW_EVERY_SECONDS = 0.1


class Watching(TurnWatcher):
    """Tells of waits, turns, steps and scores; keeps the client's variables before and after in files.

    Args:
        say: Takes an event and its facts.
        folder: For `start.state` and `end.state`.
        test: `x` and `y` that nobody trains.
        batch_size: Rows in a batch.
    """

    def __init__(self, say: Callable[..., None], folder: Path, test: dict[str, np.ndarray], batch_size: int):
        super().__init__()
        self._say = say
        self._folder = folder
        self._test: dict[str, Any] = {**test, "batch_size": batch_size}
        self._waiting: tuple[str, bool, int] | None = None
        self._epoch = 0
        self._shown = 0.0

    def on_turn_wait(self, waiting: Waiting) -> None:
        """Tells whose turn it is, when that has changed."""
        now = (waiting.member, waiting.trains, waiting.ahead)
        if now != self._waiting:
            self._say("waits", member=waiting.member, trains=waiting.trains, ahead=waiting.ahead)
        self._waiting = now

    def on_turn_begin(self, turn: int) -> None:
        """Tells."""
        self._waiting = None
        self._say("begins", turn=turn)

    def on_turn_end(self, turn: int) -> None:
        """Tells."""
        self._say("ends", turn=turn)

    def on_train_begin(self, logs: Any = None) -> None:
        """Keeps what this client begins with."""
        del logs
        self._keep("start")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remembers the epoch."""
        del logs
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tells from time to time."""
        now = time.monotonic()
        if now - self._shown >= _SHOW_EVERY_SECONDS:
            self._shown = now
            self._say("steps", epoch=self._epoch, steps=batch + 1, **_numbers(logs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tests the model as it is, before the turn goes on to the next."""
        self._say("trained", epoch=epoch, **_numbers(logs))
        scores = self.model.evaluate(**self._test, verbose=0, return_dict=True)
        self._say("tested", test_loss=scores["loss"], test_accuracy=scores["accuracy"])

    def on_train_end(self, logs: Any = None) -> None:
        """Keeps what this client has come to."""
        del logs
        self._keep("end")

    def _keep(self, name: str) -> None:
        (self._folder / f"{name}.state").write_bytes(dump(of_client(self.model)))


def _numbers(logs: Any) -> dict[str, float]:
    """Steps that had been trained before a fault are passed over, and have no numbers."""
    return {name: float(logs[name]) for name in ("loss", "accuracy") if name in logs}
