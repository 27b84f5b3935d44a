"""Training with a decoder by Eq. 1 of the paper, written by hand: one tape, one graph, no split."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from support.models import CLASSES
from support.pairs import SEED

CUT, SECOND_CUT = "low_norm", "high"
ROWS, BATCH = 24, 8
X = np.random.default_rng(1).normal(size=(ROWS, 6)).astype("float32")
Y = np.random.default_rng(2).integers(0, CLASSES, ROWS)
SOME = np.where(np.arange(ROWS) % 3 == 0, Y, -1)
# The second of three batches has no label at all.
GAP = np.where((np.arange(ROWS) // BATCH == 1) | (np.arange(ROWS) % 2 == 1), -1, Y)


def whole() -> keras.Model:
    inputs = keras.Input((6,))
    x = layers.Dense(8, activation="tanh", kernel_regularizer="l2", name="low")(inputs)
    x = layers.BatchNormalization(name="low_norm")(x)
    x = layers.Dense(8, activation="relu", kernel_regularizer="l1", name="high")(x)
    x = layers.Dropout(0.3, name="high_drop")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="classes")(x))


def decoder() -> keras.Model:
    layers_ = [layers.Dense(8, activation="relu", name="up"), layers.Dense(6, name="inputs")]
    return keras.Sequential([keras.Input((8,)), *layers_], name="decoder")


class ByHand:
    """The reference: one tape, one graph, no split.

    Args:
        optimizer: Makes one; client and server have one each.
        alpha: For the head.
        label_free: Whether the last layer is the client's; what no label belongs to gets a gradient of
            zeros there, and no update at the server.
    """

    def __init__(self, optimizer, alpha: float, label_free: bool):
        keras.utils.set_random_seed(SEED)
        self.model, self.decoder = whole(), decoder()
        self.client, self.server = optimizer(), optimizer()
        self._alpha, self._label_free = alpha, label_free
        get = self.model.get_layer
        self._head = keras.Model(self.model.inputs, get("low_norm").output)
        self._body = keras.Model(get("low_norm").output, self.model.outputs[0])
        tail = get("classes").trainable_variables if label_free else []
        self._theirs = [
            each for each in self._body.trainable_variables if not any(each is own for own in tail)
        ]
        self._tail = tail
        self._ours = [*self._head.trainable_variables, *self.decoder.trainable_variables, *tail]
        self.client.build(self._ours)
        self.server.build(self._theirs)
        self._step = tf.function(self._traced)
        self._means = {name: keras.metrics.Mean(name=name) for name in ("loss", "reconstruction_loss")}

    def fit(self, x, y, epochs: int) -> dict[str, list[float]]:
        """Trains; returns the losses of each epoch."""
        history: dict[str, list[float]] = {name: [] for name in self._means}
        for _ in range(epochs):
            for at in range(0, len(x), BATCH):
                rows = slice(at, at + BATCH)
                self._step(tf.constant(x[rows]), tf.constant(y[rows]), bool((y[rows] >= 0).any()))
            for name, mean in self._means.items():
                history[name].append(float(mean.result()))
                mean.reset_state()
        return history

    def _traced(self, x, y, has_labels: bool) -> None:
        labelled = tf.where(y >= 0)
        head, theirs = self._head.trainable_variables, self._theirs
        pulls = [tf.zeros_like(each) for each in self._tail]
        with tf.GradientTape(persistent=True) as tape:
            smashed = self._head(x, training=True)
            decay = tf.add_n(self._head.losses)
            reconstruction = tf.reduce_mean(
                keras.losses.mean_squared_error(x, self.decoder(smashed, training=True))
            )
            if has_labels:
                y_pred = self._body(tf.gather_nd(smashed, labelled), training=True)
                losses = keras.losses.sparse_categorical_crossentropy(tf.gather_nd(y, labelled), y_pred)
                task = tf.reduce_mean(losses)
                penalty = tf.add_n(self._body.losses)
        self._means["reconstruction_loss"].update_state(reconstruction, sample_weight=len(x))
        if has_labels:
            total = keras.ops.sum([task, *self._head.losses, *self._body.losses])
            self._means["loss"].update_state(total, sample_weight=tf.shape(labelled)[0])
        pull = self._alpha * tape.gradient(reconstruction, smashed)
        if has_labels:
            pull = tf.convert_to_tensor(tape.gradient(task, smashed)) + pull
            pulls = tape.gradient(task, self._tail)
            self.server.apply_gradients(zip(tape.gradient([task, penalty], theirs), theirs, strict=True))
        first = tape.gradient([smashed, decay], head, output_gradients=[pull, tf.ones_like(decay)])
        own = tape.gradient(reconstruction, self.decoder.trainable_variables)
        self.client.apply_gradients(zip([*first, *own, *pulls], self._ours, strict=True))

    def weights(self) -> dict[str, np.ndarray]:
        return {each.path: np.array(each) for each in [*self.model.weights, *self.decoder.weights]}


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.01),
}


def served() -> keras.Model:
    """What a server takes the body of."""
    model = whole()
    model.compile(OPTIMIZERS["adam"](), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
