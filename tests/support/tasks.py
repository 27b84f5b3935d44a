"""Small models of tasks other than the recognition of images, with data that fits them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from support.models import CLASSES, CLASSIFIES, ROWS, Case, classes, floats, tokens

_STEPS, _WORDS = 7, 12
_SYMPTOMS = np.array(
    ["", "ache", "fever", "cough", "rash", "burn", "cut", "flu", "pain", "cold", "itch", "tic"]
)


def gaps() -> np.ndarray:
    """Tokens `(ROWS, 7)` with masked steps anywhere, and two rows in which every step is masked."""
    found = tokens(_STEPS, _WORDS)
    found[np.random.default_rng(8).random(found.shape) < 0.3] = 0
    found[[3, 9]] = 0
    return found


def sentences() -> np.ndarray:
    """Texts `(ROWS,)` of one to seven words."""
    return np.array([" ".join(_SYMPTOMS[row[row > 0]]) for row in tokens(_STEPS, _WORDS)], dtype=object)


def recurrent(low: layers.Layer, high: layers.Layer, to_the_end: bool) -> Callable[[], keras.Model]:
    """A layer on either side of the cut at `low`, and a mask that both must heed.

    Args:
        low: Returns sequences.
        high: Returns sequences if there is a label for each step.
        to_the_end: Whether there is.
    """

    def build() -> keras.Model:
        words = keras.Input((_STEPS,), dtype="int32")
        x = layers.Embedding(_WORDS, 5, mask_zero=True, name="embed")(words)
        for layer in (low, high):
            x = type(layer).from_config(layer.get_config())(x)
        units = _WORDS if to_the_end else CLASSES
        return keras.Model(words, layers.Dense(units, activation="softmax", name="classes")(x))

    return build


def recurrent_case(low: layers.Layer, high: layers.Layer, to_the_end: bool = False) -> Case:
    """`recurrent` and its data."""
    y = gaps() if to_the_end else classes()
    return Case(recurrent(low, high, to_the_end), "low", gaps(), y, CLASSIFIES)


def measured() -> keras.Model:
    """Measurements with steps that were not taken, and no weights before the recurrent layer."""
    return keras.Sequential(
        [
            keras.Input((_STEPS, 3)),
            layers.Masking(-9.0, name="taken"),
            layers.GRU(6, return_sequences=True, recurrent_dropout=0.2, name="low"),
            layers.LSTM(5, dropout=0.2, name="high"),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ]
    )


def measured_case() -> Case:
    """`measured` and its data."""
    x = np.where(gaps()[..., np.newaxis] > 0, floats(_STEPS, 3), np.float32(-9))
    return Case(measured, "low", x, classes(), CLASSIFIES, "high")


def translating() -> keras.Model:
    """An encoder on the client, whose last state starts the decoder on the server."""
    source, target = (keras.Input((_STEPS,), dtype="int32", name=name) for name in ("source", "target"))
    read = layers.Embedding(_WORDS, 5, mask_zero=True, name="read")(source)
    _, *state = layers.LSTM(6, return_state=True, name="encode")(read)
    say = layers.Embedding(_WORDS, 5, mask_zero=True, name="say")(target)
    x = layers.LSTM(6, return_sequences=True, name="decode")(say, initial_state=state)
    words = layers.Dense(_WORDS, activation="softmax", name="words")(x)
    return keras.Model({"source": source, "target": target}, words)


def translating_case() -> Case:
    """`translating` and its data, padded behind and before."""
    words = tokens(_STEPS, _WORDS)
    x = {"source": words, "target": words[:, ::-1].copy()}
    return Case(translating, ["encode", "say"], x, words, CLASSIFIES)


def segmenting() -> keras.Model:
    """A U-Net of two levels, whose skip connections go around the cut at `pool2`."""
    image = keras.Input((8, 8, 2))
    level1 = _convolve(image, 3, "down1")
    level2 = _convolve(layers.MaxPooling2D(name="pool1")(level1), 4, "down2")
    x = _convolve(layers.MaxPooling2D(name="pool2")(level2), 5, "bottom")
    x = layers.Conv2DTranspose(4, 2, strides=2, name="up2_grow")(x)
    x = _convolve(layers.Concatenate(name="up2_join")([x, level2]), 4, "up2")
    x = layers.UpSampling2D(interpolation="bilinear", name="up1_grow")(x)
    x = _convolve(layers.Concatenate(name="up1_join")([x, level1]), 3, "up1")
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid", name="found")(x))


def _convolve(x: Any, width: int, name: str) -> Any:
    x = layers.Conv2D(width, 3, padding="same", name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def segmenting_case() -> Case:
    """`segmenting` and its data, a label for each pixel."""
    y = (floats(8, 8, 1) > 0).astype("float32")
    return Case(segmenting, "pool2", floats(8, 8, 2), y, {"loss": "binary_crossentropy"})


def reading() -> keras.Model:
    """Raw text in; its vocabulary is in a table, which is no variable."""
    words = layers.TextVectorization(10, output_sequence_length=5, name="words")
    words.adapt(sentences())
    return keras.Sequential(
        [
            keras.Input((), dtype="string"),
            words,
            layers.Embedding(10, 5, mask_zero=True, name="vectors"),
            layers.Dense(6, activation="tanh", name="low"),
            layers.GlobalAveragePooling1D(name="high"),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ]
    )


def reading_case(cut: str = "low") -> Case:
    """`reading` and its data."""
    return Case(reading, cut, sentences(), classes(), CLASSIFIES)


def tabular() -> keras.Model:
    """A dict of numbers, codes and texts, each through a layer with a table of its own."""
    inputs = {
        "numbers": keras.Input((3,), name="numbers"),
        "age": keras.Input((1,), name="age"),
        "code": keras.Input((1,), dtype="int64", name="code"),
        "ward": keras.Input((1,), dtype="string", name="ward"),
        "town": keras.Input((1,), dtype="string", name="town"),
    }
    standardise = layers.Normalization(name="standardise")
    standardise.adapt(floats(3))
    ward = layers.StringLookup(vocabulary=["a", "b", "c"], name="ward_code")(inputs["ward"])
    parts = [
        standardise(inputs["numbers"]),
        layers.Discretization([-1.0, 0.0, 1.0], output_mode="one_hot", name="age_bin")(inputs["age"]),
        layers.IntegerLookup(vocabulary=[3, 5, 9], output_mode="one_hot", name="code_bits")(inputs["code"]),
        layers.Flatten(name="ward_flat")(layers.Embedding(4, 3, name="ward_vector")(ward)),
        layers.Hashing(6, output_mode="one_hot", name="town_bits")(inputs["town"]),
    ]
    x = layers.Dense(6, activation="relu", name="low")(layers.Concatenate(name="row")(parts))
    x = layers.Dropout(0.2, name="drop")(x)
    x = layers.Dense(5, activation="relu", name="high")(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="yes")(x))


def tabular_case() -> Case:
    """`tabular` and its data, with words that the vocabularies lack."""
    random = np.random.default_rng(9)
    x = {
        "numbers": floats(3),
        "age": floats(1),
        "code": random.choice([3, 5, 9, 11], (ROWS, 1)),
        # As tensors, since Keras takes no columns of text as NumPy arrays.
        "ward": tf.constant(random.choice(["a", "b", "c", "d"], (ROWS, 1))),
        "town": tf.constant(random.choice(["x", "y", "z"], (ROWS, 1))),
    }
    y = (floats(1) > 0).astype("float32")
    return Case(tabular, "low", x, y, {"loss": "binary_crossentropy"})
