"""Keras callbacks of a split model."""

from keras_split.callbacks.semi_supervised import SemiSupervised
from keras_split.callbacks.traffic import Progress, Traffic
from keras_split.callbacks.turns import TurnWatcher

__all__ = ["Progress", "SemiSupervised", "Traffic", "TurnWatcher"]
