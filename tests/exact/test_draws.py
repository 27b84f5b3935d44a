"""What is drawn comes from generators of the model's own, or nothing is trained."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from keras.optimizers import SGD

import keras_split
from keras_split.errors import Refused
from support.drawing import Drawing, NoisyDescent, noisy, noisy_loss
from support.models import CLASSES, mlp_case
from support.pairs import assert_trains_as_whole

CASE = mlp_case("low")


def network(low: keras.layers.Layer | None = None, high: keras.layers.Layer | None = None) -> keras.Model:
    inner = [each for each in (low, layers.Dense(8, activation="tanh", name="low"), high) if each is not None]
    return keras.Sequential(
        [keras.Input((6,)), *inner, layers.Dense(CLASSES, activation="softmax", name="classes")]
    )


def test_generators_of_layers_draw_on_each_side_as_in_the_whole_model():
    def build():
        return network(Drawing("own", name="here"), Drawing("number", name="there"))

    def build_otherwise():
        return network(Drawing("number", name="here"), Drawing("own", name="there"))

    for each in (build, build_otherwise):
        assert_trains_as_whole(each, "low", CASE.settings(), CASE.fit_and_use)


@pytest.mark.parametrize(
    "kind", ["in_training", "in_a_branch", "tensorflow", "tensorflow_in_a_branch", "tensorflow_generator"]
)
@pytest.mark.parametrize("side", ["low", "high"])
def test_a_layer_that_draws_from_elsewhere_is_refused_before_the_first_step(kind, side):
    model = network(**{side: Drawing(kind, name="noise")})
    before = model.get_weights()
    with pytest.raises(Refused, match="Layer 'noise' draws .*SeedGenerator"):
        split = keras_split.SplitModel(model, "low")
        split.compile(**CASE.settings()())
        CASE.fit(split)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("side", ["low", "high"])
def test_a_layer_that_draws_in_inference_is_refused_there(side):
    split = keras_split.SplitModel(network(**{side: Drawing("in_inference", name="noise")}), "low")
    with pytest.raises(Refused, match="Layer 'noise' draws"):
        split.predict(CASE.x, verbose=0)
    split.close()


@pytest.mark.parametrize("side", ["low", "high"])
def test_a_layer_that_draws_while_its_graph_is_made_is_refused(side):
    model = network(**{side: Drawing("numpy", name="noise")})
    with pytest.raises(Refused, match="Layer 'noise' draws from .* NumPy's or Python's while its graph"):
        keras_split.SplitModel(model, "low")


@pytest.mark.parametrize(
    ("high", "optimizer", "loss", "who"),
    [
        (layers.Dense(8, activation=noisy, name="mid"), SGD, None, "Layer 'mid'"),
        (None, SGD, noisy_loss, "A loss"),
        (None, NoisyDescent, None, "A loss.*or the optimizer"),
    ],
    ids=["activation", "loss", "optimizer"],
)
def test_functions_that_draw_are_refused_as_layers_are(high, optimizer, loss, who):
    with pytest.raises(Refused, match=f"{who}.* draws from a generator that is no part of the model"):
        split = keras_split.SplitModel(network(high=high), "low")
        split.compile(optimizer(), loss or CASE.compiled["loss"])
        CASE.fit(split)
