"""Image data sets by name. Importing this package registers `keras_split_digits` with TFDS.

It loads tensorflow-datasets but not TensorFlow, which starts with the first data set.
"""

from keras_split.datasets.digits import KerasSplitDigits
from keras_split.datasets.load import Dataset, DatasetUnavailable, check_available, load

__all__ = ["Dataset", "DatasetUnavailable", "KerasSplitDigits", "check_available", "load"]
