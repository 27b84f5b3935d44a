"""Small models to split: the ones that the paper trains, at a size that a laptop holds.

Each function returns a built functional model. With a `seed`, every kernel starts from a hash of
(seed, layer name), so that two builds are equal and no global random state is read or moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import keras

# Two valid 5x5 convolutions and two poolings leave one pixel of 16, and nothing of 12.
_SMALLEST_VALID_PIXELS = 16


def lenet(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    seed: int | None = None,
) -> keras.Model:
    """LeNet as Caffe ships it, the network that the paper trains on MNIST (table 1).

    The convolutions are linear, as in Caffe: `dense_1` has the only ReLU. Images below 16 pixels,
    such as the 8x8 digits, are padded ("same"); larger ones are not ("valid").

    Args:
        input_shape: `(height, width, channels)` of one image.
        classes: Number of classes, the width of `dense_2`.
        seed: Start of every kernel. `None` draws from Keras' global state.

    Returns:
        Model from `(batch, *input_shape)` to probabilities `(batch, classes)`, with the layers
        conv1, pool1, conv2, pool2, flatten, dense_1 and dense_2.

    Source:
        LeCun et al., "Gradient-based learning applied to document recognition", 1998, in the
        variant of Caffe's `lenet_train_test.prototxt` (Jia et al., arXiv:1408.5093).
    """
    padding = "valid" if min(input_shape[:2]) >= _SMALLEST_VALID_PIXELS else "same"
    layers = [
        _conv("conv1", 20, 5, seed, padding=padding),
        keras.layers.MaxPooling2D(2, name="pool1"),
        _conv("conv2", 50, 5, seed, padding=padding),
        keras.layers.MaxPooling2D(2, name="pool2"),
        keras.layers.Flatten(name="flatten"),
        _dense("dense_1", 500, seed, activation="relu"),
        _dense("dense_2", classes, seed, activation="softmax"),
    ]
    return _chain("lenet", input_shape, layers)


def vgg(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    seed: int | None = None,
) -> keras.Model:
    """A small VGG for CIFAR-10: three blocks of two 3x3 convolutions. It is not VGG-16.

    The paper names VGG for CIFAR-10 and CIFAR-100 (table 1) and gives no sizes. This one keeps
    the idea, stacks of 3x3 convolutions that double their filters after each pooling, in six
    convolutions and two dense layers, without batch normalisation or dropout.

    Args:
        input_shape: `(height, width, channels)` of one image, at least 8 pixels a side.
        classes: Number of classes, the width of `predictions`.
        seed: Start of every kernel. `None` draws from Keras' global state.

    Returns:
        Model from `(batch, *input_shape)` to probabilities `(batch, classes)`, with the layers
        conv1_1, conv1_2, pool1, conv2_1, ..., pool3, flatten, fc1 and predictions.

    Source:
        Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
        recognition", arXiv:1409.1556.
    """
    layers = []
    for block, filters in enumerate((64, 128, 256), start=1):
        for step in (1, 2):
            name = f"conv{block}_{step}"
            layers.append(_conv(name, filters, 3, seed, padding="same", activation="relu"))
        layers.append(keras.layers.MaxPooling2D(2, name=f"pool{block}"))
    layers += [
        keras.layers.Flatten(name="flatten"),
        _dense("fc1", 512, seed, activation="relu"),
        _dense("predictions", classes, seed, activation="softmax"),
    ]
    return _chain("vgg", input_shape, layers)


def _conv(name: str, filters: int, size: int, seed: int | None, **options: Any) -> keras.layers.Layer:
    start = _start(seed, name)
    return keras.layers.Conv2D(filters, size, kernel_initializer=start, name=name, **options)


def _dense(name: str, units: int, seed: int | None, **options: Any) -> keras.layers.Layer:
    return keras.layers.Dense(units, kernel_initializer=_start(seed, name), name=name, **options)


def _start(seed: int | None, layer_name: str) -> keras.initializers.Initializer:
    """Glorot uniform, Keras' own default, from a seed that belongs to this layer alone."""
    if seed is None:
        return keras.initializers.GlorotUniform()
    digest = hashlib.sha256(f"{seed}/{layer_name}".encode()).digest()
    # 31 bits: TensorFlow reads an initialiser's seed as int32.
    return keras.initializers.GlorotUniform(seed=int.from_bytes(digest[:4], "big") >> 1)


def _chain(name: str, input_shape: tuple[int, int, int], layers: Sequence[keras.layers.Layer]) -> keras.Model:
    image = outputs = keras.Input(input_shape, name="image")
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(image, outputs, name=name)
