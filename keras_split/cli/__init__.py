"""The program `keras-split`.

Importing it loads neither Keras nor TensorFlow: commands do when they run, if they need them.
"""

from keras_split.cli.program import main

__all__ = ["main"]
