"""Small models, one for each way in which a graph can be cut, with data that fits them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from support.batches import in_batches

ROWS, BATCH = 20, 8
CLASSES = 4


@dataclass(frozen=True)
class Case:
    """A model with all that it takes to train it.

    Args:
        build: Makes it anew; layers with weights have names of their own.
        cut: Where to cut it.
        x: Inputs of `ROWS` samples.
        y: Labels.
        compiled: Arguments of `compile`, without the optimizer.
        second_cut: Where to cut it again for a client that shares no labels.
    """

    build: Callable[[], keras.Model]
    cut: str | list[str]
    x: Any
    y: Any
    compiled: dict[str, Any] = field(default_factory=dict)
    second_cut: str | list[str] | None = None

    @property
    def modes(self) -> tuple[str | list[str] | None, ...]:
        """Second cuts to train it with: None, so that labels are shared, and its own."""
        return (None,) if self.second_cut is None else (None, self.second_cut)

    def settings(self, optimizer: Callable[[], Any] = lambda: "adam") -> Callable[[], dict[str, Any]]:
        """Makes the arguments of `compile`, with an optimizer of their own."""
        return lambda: {"optimizer": optimizer(), **self.compiled}

    @functools.cached_property
    def batches(self) -> tf.data.Dataset:
        """Three, the last of them ragged."""
        return in_batches(BATCH, self.x, self.y)

    def fit(self, model: Any, **options: Any) -> Any:
        """Two epochs."""
        return model.fit(self.batches, **{"epochs": 2, "shuffle": False, "verbose": 0, **options})

    def fit_and_use(self, model: Any) -> tuple[Any, np.ndarray]:
        """Trains, validates and predicts: all that a trained model is for."""
        history = self.fit(model, validation_data=self.batches)
        return history, model.predict(self.batches, verbose=0)


def floats(*shape: int) -> np.ndarray:
    """Inputs that are the same in every test."""
    return np.random.default_rng(5).normal(size=(ROWS, *shape)).astype("float32")


def classes() -> np.ndarray:
    """One class per sample."""
    return np.random.default_rng(6).integers(0, CLASSES, ROWS)


def tokens(length: int, words: int) -> np.ndarray:
    """Token ids, padded with zeros behind sentences of different lengths."""
    random = np.random.default_rng(7)
    found = random.integers(1, words, (ROWS, length))
    lengths = random.integers(1, length + 1, (ROWS, 1))
    return np.where(np.arange(length) < lengths, found, 0)


def accumulating() -> keras.optimizers.Optimizer:
    """Counts each step, and updates at every second one."""
    decay = keras.optimizers.schedules.ExponentialDecay(0.05, 2, 0.7)
    return keras.optimizers.AdamW(decay, gradient_accumulation_steps=2)


CLASSIFIES = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}


def mlp() -> keras.Model:
    """The cheapest model with something to train on both sides, Dropout included."""
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="tanh", name="low"),
            layers.Dropout(0.3, name="low_drop"),
            layers.Dense(8, activation="relu", name="high"),
            layers.Dropout(0.3, name="high_drop"),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ]
    )


def mlp_case(cut: str = "low_drop", build: Callable[[], keras.Model] = mlp, **compiled: Any) -> Case:
    """`mlp` and its data."""
    return Case(build, cut, floats(6), classes(), {**CLASSIFIES, **compiled})


def convolutional() -> keras.Model:
    """BatchNormalization and Dropout on both sides."""
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, padding="same", name="conv1"),
            layers.BatchNormalization(name="norm1"),
            layers.ReLU(name="relu1"),
            layers.Dropout(0.25, name="drop1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(6, 3, padding="same", name="conv2"),
            layers.BatchNormalization(name="norm2"),
            layers.ReLU(name="relu2"),
            layers.GaussianNoise(0.25, name="noise2"),
            layers.Flatten(name="flatten"),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ]
    )


def residual() -> keras.Model:
    """Two blocks with a way around each of them."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    for block in ("block1", "block2"):
        way = layers.Conv2D(4, 3, padding="same", name=f"{block}_conv1")(x)
        way = layers.BatchNormalization(name=f"{block}_norm1")(way)
        way = layers.ReLU(name=f"{block}_relu")(way)
        way = layers.Conv2D(4, 3, padding="same", name=f"{block}_conv2")(way)
        x = layers.Add(name=f"{block}_add")([x, way])
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="classes")(x))


def several_inputs_and_outputs() -> keras.Model:
    """Dicts in and out, two branches on the client, two losses on the server."""
    image = keras.Input((6, 6, 2), name="image")
    facts = keras.Input((5,), name="facts")
    seen = layers.Conv2D(3, 3, name="look")(image)
    known = layers.Dense(7, activation="relu", name="learn")(facts)
    seen = layers.Flatten(name="flatten")(seen)
    x = layers.Concatenate(name="join")([seen, known])
    x = layers.Dense(9, activation="tanh", name="think")(x)
    kind = layers.Dense(CLASSES, activation="softmax", name="kind_layer")(x)
    size = layers.Dense(1, name="size_layer")(x)
    return keras.Model({"image": image, "facts": facts}, {"kind": kind, "size": size})


def read_further(activation: str = "linear") -> Callable[[], keras.Model]:
    """The first output, which the head makes at a cut at `low`, is what the second is computed from."""

    def build() -> keras.Model:
        inputs = keras.Input((6,))
        low = layers.Dense(CLASSES, activation=activation, name="low")(inputs)
        high = layers.Dense(5, activation="relu", name="high")(low)
        kind = layers.Dense(CLASSES, activation="softmax", name="kind")(high)
        return keras.Model(inputs, [low, kind])

    return build


def nested() -> keras.Model:
    """A model inside a model inside a model."""
    inner = keras.Sequential(
        [keras.Input((8,)), layers.Dense(7, name="first"), layers.Dense(8, name="second")],
        name="inner",
    )
    at = keras.Input((6,))
    x = layers.Dense(8, activation="relu", name="before")(at)
    x = layers.Dropout(0.2, name="drop")(x)
    x = layers.Add(name="around")([x, inner(x)])
    outer = keras.Model(at, layers.Dense(5, name="after")(x), name="outer")
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="classes")(outer(inputs)))


def augmented() -> keras.Model:
    """Images that are changed at random on the client."""
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.RandomFlip(name="flip"),
            layers.RandomTranslation(0.2, 0.2, name="shift"),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.Flatten(name="flatten"),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ]
    )


def standardised() -> keras.Model:
    """Statistics that were taken before training, which variables alone do not hold."""
    raw, inner = layers.Normalization(name="raw"), layers.Normalization(name="inner")
    for layer in (raw, inner):
        layer.adapt(3 * floats(6) + 1)
    x = keras.Input((6,))
    y = inner(layers.Dense(6, name="low")(raw(x)))
    return keras.Model(x, layers.Dense(CLASSES, activation="softmax", name="classes")(y))


def attention() -> keras.Model:
    """Two blocks, with layers inside layers that have no names of their own."""
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(12, 8, name="embed")(inputs)
    for block in ("first", "second"):
        seen = layers.MultiHeadAttention(2, 4, dropout=0.1, name=f"{block}_attention")(x, x)
        x = layers.LayerNormalization(name=f"{block}_norm")(layers.Add(name=f"{block}_add")([x, seen]))
    x = layers.GlobalAveragePooling1D(name="average")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="classes")(x))


def masked() -> keras.Model:
    """Padding that no layer behind the Embedding may look at."""
    return keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            layers.Embedding(12, 5, mask_zero=True, name="embed"),
            layers.Dense(6, activation="tanh", name="lower"),
            layers.GlobalAveragePooling1D(name="upper"),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ]
    )


def masked_to_the_end() -> keras.Model:
    """A mask that decides which outputs count in the loss."""
    return keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            layers.Embedding(12, 5, mask_zero=True, name="embed"),
            # Keras' own choice, an orthogonal one, needs a decomposition that bfloat16 does not have.
            layers.GRU(6, return_sequences=True, recurrent_initializer="glorot_uniform", name="read"),
            layers.Dense(12, activation="softmax", name="words"),
        ]
    )


@keras.saving.register_keras_serializable("tests")
class Energy(layers.Layer):
    """Adds a loss of its own in every call."""

    def call(self, inputs):
        self.add_loss(1e-2 * keras.ops.mean(keras.ops.square(inputs)))
        return inputs


def penalised() -> keras.Model:
    """Every kind of additional loss on both sides, in an order that a sum shows."""
    inputs = keras.Input((6,))
    x = layers.Dense(8, kernel_regularizer="l2", name="low")(inputs)
    x = Energy(name="low_energy")(x)
    x = layers.Dense(8, activity_regularizer="l1", bias_regularizer="l1", name="low2")(x)
    x = layers.Dense(8, kernel_regularizer="l1", activity_regularizer="l2", name="high")(x)
    x = layers.ActivityRegularization(l1=1e-3, l2=1e-2, name="high_activity")(x)
    x = Energy(name="high_energy")(x)
    orthogonal = keras.regularizers.OrthogonalRegularizer()
    x = layers.Dense(CLASSES, kernel_regularizer=orthogonal, activation="softmax", name="classes")(x)
    return keras.Model(inputs, x)
