"""Layers and functions that draw from generators of different kinds; servers import this module."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

_registered = keras.saving.register_keras_serializable("drawing")


@_registered
class Drawing(keras.layers.Layer):
    """Adds noise.

    Args:
        kind: Where it comes from.
    """

    def __init__(self, kind: str, name: str | None = None, **options: Any):
        super().__init__(name=name, **options)
        self.kind = kind
        self.own = keras.random.SeedGenerator(5)
        self.other = tf.random.Generator.from_seed(5)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "name": self.name}

    def call(self, x: Any, training: bool = False) -> Any:
        shape = (x.shape[-1],)
        draws = {
            "own": lambda: keras.random.normal(shape, seed=self.own),
            "number": lambda: keras.random.normal(shape, seed=5),
            "in_training": lambda: keras.random.dropout(tf.ones(shape), 0.5) if training else 0.0,
            "in_inference": lambda: 0.0 if training else keras.random.normal(shape),
            "in_a_branch": lambda: tf.cond(
                tf.reduce_sum(x) > 0, self._normal(shape), lambda: tf.zeros(shape)
            ),
            "tensorflow": lambda: tf.random.normal(shape),
            "tensorflow_in_a_branch": lambda: tf.cond(
                tf.reduce_sum(x) > 0, lambda: tf.random.normal(shape), lambda: tf.zeros(shape)
            ),
            "tensorflow_generator": lambda: self.other.normal(shape),
            "numpy": lambda: np.random.normal(),  # noqa: NPY002
        }
        return x + draws[self.kind]()

    def _normal(self, shape: tuple[int]) -> Any:
        return lambda: keras.random.normal(shape)


@_registered
def noisy(x: Any) -> Any:
    """An activation."""
    return x + keras.random.normal((x.shape[-1],))


@_registered
class NoisyDescent(keras.optimizers.SGD):
    """An optimizer."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        noise = keras.random.normal(variable.shape)
        super().update_step(gradient + noise, variable, learning_rate)


@_registered
def noisy_loss(y: Any, y_pred: Any) -> Any:
    """A loss."""
    return keras.losses.sparse_categorical_crossentropy(y, y_pred) * keras.random.uniform(())
