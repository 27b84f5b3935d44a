"""What a callback may hear of turns among several data owners."""

from __future__ import annotations

import keras

from keras_split.owners import Waiting


class TurnWatcher(keras.callbacks.Callback):
    """A Keras callback that is also told of turns, in a run of several data owners.

    `on_train_begin` comes after the first turn has been taken, so that the model is at the run's newest
    state by then, and `on_train_end` after the last commit.
    """

    def on_turn_wait(self, waiting: Waiting) -> None:
        """Called again and again while the turn is another's."""

    def on_turn_begin(self, turn: int) -> None:
        """The turn is this client's, and its model at the state that the last holder left."""

    def on_turn_end(self, turn: int) -> None:
        """What was trained in the turn is handed over and committed."""
