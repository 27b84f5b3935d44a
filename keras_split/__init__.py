"""Train one Keras model across organisations that may not share their data."""

from keras_split import errors, zoo
from keras_split.errors import SplitError
from keras_split.model import SplitModel
from keras_split.partition import Cut, list_cuts
from keras_split.session import Timeouts
from keras_split.transport import Credentials
from keras_split.verify import Report, verify

__all__ = [
    "Credentials",
    "Cut",
    "Report",
    "SplitError",
    "SplitModel",
    "Timeouts",
    "errors",
    "list_cuts",
    "verify",
    "zoo",
]
