"""The zoo's models have the sizes of their sources, and a seed that is theirs alone."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest

from keras_split.zoo import lenet, vgg

LENET_LAYERS = ["conv1", "pool1", "conv2", "pool2", "flatten", "dense_1", "dense_2"]


def layer_names(model):
    return [layer.name for layer in model.layers[1:]]


def assert_same_weights(first, second):
    for ours, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_lenet_has_the_parameters_of_caffes():
    model = lenet()
    assert layer_names(model) == LENET_LAYERS
    assert model.output_shape == (None, 10)
    # conv1, conv2, dense_1 on 4x4x50, dense_2: each weights + biases
    assert model.count_params() == (25 * 20 + 20) + (500 * 50 + 50) + (800 * 500 + 500) + 5010


def test_lenet_pads_images_that_are_too_small_for_valid_convolutions():
    assert lenet((8, 8, 1)).get_layer("flatten").output.shape == (None, 2 * 2 * 50)
    assert lenet((15, 15, 1)).get_layer("conv1").padding == "same"
    assert lenet((16, 16, 1)).get_layer("flatten").output.shape == (None, 50)


def test_vgg_has_six_convolutions_and_two_dense_layers():
    model = vgg()
    blocks = [
        f"{kind}{block}{step}"
        for block in (1, 2, 3)
        for kind, step in (("conv", "_1"), ("conv", "_2"), ("pool", ""))
    ]
    assert layer_names(model) == [*blocks, "flatten", "fc1", "predictions"]
    # Per block two 3x3 convolutions, then fc1 on 4x4x256 and predictions.
    convolutions = 1792 + 36928 + 73856 + 147584 + 295168 + 590080
    assert model.count_params() == convolutions + (4096 * 512 + 512) + 5130
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize("build", [lenet, vgg])
def test_outputs_are_probabilities_of_the_asked_classes(build):
    probabilities = build((8, 8, 3), classes=7)(np.ones((2, 8, 8, 3), np.float32))
    assert probabilities.shape == (2, 7)
    np.testing.assert_allclose(np.sum(probabilities, axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("build", [lenet, vgg])
def test_equal_seeds_build_equal_weights(build):
    assert_same_weights(build((8, 8, 1), seed=3), build((8, 8, 1), seed=3))


def test_another_seed_starts_every_kernel_elsewhere():
    for ours, theirs in zip(lenet(seed=3).get_weights()[::2], lenet(seed=4).get_weights()[::2], strict=True):
        assert not np.array_equal(ours, theirs)


def test_layers_of_one_shape_start_from_different_kernels():
    model = vgg((8, 8, 64), seed=3)
    first, second = (model.get_layer(name).kernel for name in ("conv1_1", "conv1_2"))
    assert first.shape == second.shape
    assert not np.array_equal(first, second)


def test_a_seeded_build_leaves_global_random_state_alone():
    keras.utils.set_random_seed(1)
    expected = random.random(), np.random.random(), np.array(keras.random.uniform((3,)))
    keras.utils.set_random_seed(1)
    lenet(seed=3)
    assert (random.random(), np.random.random()) == expected[:2]
    np.testing.assert_array_equal(keras.random.uniform((3,)), expected[2])
