"""What Keras' configs leave out is the same on both sides, or refused before the first step."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import keras_split
from keras_split.partition import named_variables
from support.models import CLASSES, CLASSIFIES, Case, classes, floats
from support.pairs import assert_case_trains_as_whole


@keras.saving.register_keras_serializable("tests")
class Scaled(layers.Layer):
    """Has a weight without a name, and a config without its own name."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dense(8)

    def build(self, shape):
        self.inner.build(shape)
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return self.inner(x) * self.scale

    def get_config(self):
        return {}


def build() -> keras.Model:
    """Each kind on both sides."""
    sides = []
    for side in ("low", "high"):
        sides += [
            layers.Dense(8, name=f"{side}_frozen"),
            Scaled(name=f"{side}_scaled"),
            layers.Dense(8, activation="tanh", name=f"{side}_lora"),
            layers.BatchNormalization(name=f"{side}_norm"),
        ]
    model = keras.Sequential(
        [keras.Input((6,)), *sides, layers.Dense(CLASSES, activation="softmax", name="classes")]
    )
    for side in ("low", "high"):
        model.get_layer(f"{side}_frozen").kernel.trainable = False
        model.get_layer(f"{side}_scaled").inner.trainable = False
        model.get_layer(f"{side}_lora").enable_lora(2, lora_alpha=6.0)
        model.get_layer(f"{side}_norm").gamma.trainable = False
    return model


CASE = Case(build, "low_norm", floats(6), classes(), CLASSIFIES)


def test_flags_names_and_alphas_are_those_of_the_whole_model():
    assert_case_trains_as_whole(CASE)


def test_a_half_from_a_file_has_the_flags_that_it_had(tmp_path):
    keras.utils.set_random_seed(1)
    split = keras_split.SplitModel(build(), "low_norm")
    # Not as it was when it was split.
    split.head.get_layer("low_frozen").bias.trainable = False
    split.compile("sgd", "mse")
    split.save(tmp_path / "half.keras")
    split.close()
    loaded = keras.models.load_model(tmp_path / "half.keras")
    flags = [
        {name: each.trainable for name, each in named_variables(model.head).items()}
        for model in (split, loaded)
    ]
    assert flags[0] == flags[1]
    split.head.get_layer("low_lora").activation = keras.ops.gelu
    with pytest.raises(ValueError, match="'low_lora'.*as another one"):
        split.save(tmp_path / "half.keras")


def test_a_body_that_the_server_would_build_otherwise_is_refused():
    model = build()
    model.get_layer("high_lora").activation = keras.ops.gelu
    split = keras_split.SplitModel(model, "low_norm")
    split.compile("sgd", "mse")
    before = split.head.get_weights()
    with pytest.raises(ValueError, match="'high_lora'.*`activation` is not what it was"):
        split.fit(CASE.x, np.zeros((len(CASE.x), CLASSES)), verbose=0)
    assert all(np.array_equal(*pair) for pair in zip(before, split.head.get_weights(), strict=True))
    split.close()
