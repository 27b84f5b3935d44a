"""Heads in training: what a client hands over at the end of a turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from keras_split import zoo
from keras_split.partition import named_variables, partition
from keras_split.state import Bundle, optimizer_variables, read

_BATCH = 16
_SIZES = {"lenet": (28, 1), "resnet50": (32, 3)}


@dataclass(frozen=True)
class Head:
    """A head and how it is trained.

    Args:
        model: `"lenet"` of the zoo, or Keras' `"resnet50"` with random weights.
        cut: Layer behind which the client's part ends.
        optimizer: `"sgd"` with momentum, or `"adam"`.
    """

    model: str
    cut: str
    optimizer: str

    def __str__(self) -> str:
        return f"{self.model} at {self.cut}, {self.optimizer}"


_CUTS = (("lenet", "pool2"), ("resnet50", "conv2_block3_out"), ("resnet50", "conv4_block6_out"))
HEADS = tuple(Head(*cut, optimizer) for cut in _CUTS for optimizer in ("sgd", "adam"))


class HeadInTraining:
    """A head that is trained on the digits, with the body in the same process.

    Split training gives the same bits as whole training, so no server is needed to know what a
    client's state looks like. As there, head and body have an optimizer each.

    Args:
        head: Which one.
    """

    def __init__(self, head: Head):
        self._x, self._y = _digits(*_SIZES[head.model])
        self._at = 0
        model = _built(head.model)
        parts = partition(model, head.cut)
        self._part = parts.head.model
        self._optimizer = _optimizer(head.optimizer)
        body = parts.body.model.trainable_variables, _optimizer(head.optimizer)
        self._step = _compiled(model, [(self._part.trainable_variables, self._optimizer), body])

    def train(self, steps: int) -> None:
        """So many steps of 16 digits."""
        for _ in range(steps):
            rows = np.arange(self._at, self._at + _BATCH) % len(self._x)
            self._step(self._x[rows], self._y[rows])
            self._at += _BATCH

    def state(self) -> Bundle:
        """All that the client remembers, as it is now."""
        return read({**named_variables(self._part), **optimizer_variables(self._optimizer)})


def _built(name: str) -> Any:
    size, channels = _SIZES[name]
    shape = (size, size, channels)
    if name == "lenet":
        return zoo.lenet(shape, seed=1)
    keras.utils.set_random_seed(1)
    return keras.applications.ResNet50(weights=None, input_shape=shape, classes=10)


def _optimizer(name: str) -> Any:
    return keras.optimizers.Adam() if name == "adam" else keras.optimizers.SGD(0.01, momentum=0.9)


def _compiled(model: Any, sides: list[tuple[list[Any], Any]]) -> Any:
    loss = keras.losses.SparseCategoricalCrossentropy()
    for variables, optimizer in sides:
        optimizer.build(variables)

    @tf.function
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        gradients = tape.gradient(value, [variables for variables, _ in sides])
        for found, (variables, optimizer) in zip(gradients, sides, strict=True):
            optimizer.apply_gradients(zip(found, variables, strict=True))

    return step


def _digits(size: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 digits, 8x8, enlarged and repeated in each channel."""
    digits = load_digits()
    images = tf.image.resize((digits.images / 16.0).astype("float32")[..., None], (size, size)).numpy()
    return np.repeat(images, channels, axis=-1), digits.target
