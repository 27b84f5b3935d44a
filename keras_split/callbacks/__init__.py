"""Keras callbacks of a split model."""

from keras_split.callbacks.semi_supervised import SemiSupervised
from keras_split.callbacks.traffic import Progress, Traffic

__all__ = ["Progress", "SemiSupervised", "Traffic"]
