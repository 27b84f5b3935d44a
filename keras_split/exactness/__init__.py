"""Whether a model's parts compute what the whole model does, to the last bit: found out without a step."""

from keras_split.exactness.comparison import Subject, first_difference

__all__ = ["Subject", "first_difference"]
