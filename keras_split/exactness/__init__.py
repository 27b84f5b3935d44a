"""Whether the parts of a model compute what the whole model does, to the last bit; found out without running them."""

from keras_split.exactness.comparison import Subject, first_difference

__all__ = ["Subject", "first_difference"]
