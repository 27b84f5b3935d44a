"""`SplitModel`: a Keras model whose larger part is elsewhere."""

from keras_split.model.decoder import Decoder
from keras_split.model.split_model import SplitModel

__all__ = ["Decoder", "SplitModel"]
