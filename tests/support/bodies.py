"""Models for server processes, each a `support.bodies:function`."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from support.gate import GateLayer

SEED = 23
CUT = "low_drop"
FEATURES = 12
CLASSES = 4
BATCH = 8
BATCHES = 5


def small() -> keras.Model:
    """Statistics, seeds and optimizer variables on both sides of `CUT`."""
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(16, activation="tanh", name="low"),
            layers.BatchNormalization(name="low_norm"),
            layers.Dropout(0.2, name="low_drop"),
            GateLayer(name="gate"),
            layers.Dense(16, activation="relu", name="high"),
            layers.BatchNormalization(name="high_norm"),
            layers.Dropout(0.2, name="high_drop"),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ],
        name="small",
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def careful() -> keras.Model:
    """`small`, with an optimizer that looks at all gradients, clips some of them, and lets biases be."""
    model = small()
    inner = keras.optimizers.AdamW(0.01, weight_decay=0.5, global_clipnorm=4.5)
    inner.exclude_from_weight_decay(var_names=["bias"])
    optimizer = keras.optimizers.LossScaleOptimizer(inner, dynamic_growth_steps=3)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def scheduled() -> keras.Model:
    """`small`, with momentum and a rate that falls with each update."""
    model = small()
    rate = keras.optimizers.schedules.ExponentialDecay(0.05, decay_steps=3, decay_rate=0.7)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def shareable() -> keras.Model:
    """A body whose steps can be shared by devices: no statistics and no randomness on the server."""
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(16, activation="tanh", name="low"),
            layers.Dropout(0.2, name="low_drop"),
            layers.Dense(16, activation="relu", kernel_regularizer="l2", name="high"),
            layers.Dense(16, activity_regularizer="l1", name="higher"),
            layers.Dense(CLASSES, activation="softmax", name="classes"),
        ],
        name="shareable",
    )
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def telling() -> keras.Model:
    """Labels and outputs of many bits, which can be recognised among bytes."""
    model = small()
    outputs = layers.Dense(CLASSES, name="numbers")(model.get_layer("high_drop").output)
    model = keras.Model(model.inputs, outputs, name="telling")
    model.compile("adam", "mse")
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    """`BATCHES` full batches, the same ones in every process."""
    random = np.random.default_rng(3)
    rows = BATCHES * BATCH
    x = random.normal(size=(rows, FEATURES)).astype("float32")
    return x, random.integers(0, CLASSES, rows)
