"""Without sharing labels, split training equals whole training as well.

What both modes are shown to do by one whole model is beside label sharing, in the other files.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import keras_split
from support.models import CLASSES, CLASSIFIES, Case, accumulating, classes, convolutional, floats, mlp_case
from support.pairs import TrainedWhole, assert_trains_as_whole

IMAGES = floats(8, 8, 2)


def unet() -> keras.Model:
    """Ways from the client's first to its last layers, around the server and through it."""
    inputs = keras.Input((8, 8, 2))
    one = layers.Conv2D(4, 3, padding="same", activation="relu", name="down1")(inputs)
    two = layers.Conv2D(6, 3, 2, padding="same", activation="relu", name="down2")(one)
    deep = layers.Conv2D(8, 3, 2, padding="same", name="deep")(two)
    deep = layers.BatchNormalization(name="deep_norm")(deep)
    x = layers.Conv2DTranspose(6, 3, 2, padding="same", activation="relu", name="up2")(deep)
    x = layers.Concatenate(name="join2")([x, two])
    x = layers.Dropout(0.2, name="drop2")(x)
    x = layers.Conv2DTranspose(4, 3, 2, padding="same", activation="relu", name="up1")(x)
    x = layers.Add(name="join1")([x, one])
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid", name="pixels")(x))


def test_what_goes_around_the_server_stays_on_the_client():
    pixels = (floats(8, 8, 1) > 0).astype("float32")
    case = Case(unet, "", IMAGES, pixels, {"loss": "binary_crossentropy", "metrics": ["accuracy"]})
    whole = TrainedWhole(unet, case.settings(), case.fit_and_use)
    for cut, last in ((["down1", "down2"], (4, 4, 6)), ("down2", (4, 4, 6)), ("down1", (8, 8, 4))):
        with whole.equals_split(cut, "up1") as (split, _):
            sections = split._halves.parts.sections
            assert sections.kept == 1
            assert [each.shape for each in sections.frontier.tensors][-1][1:] == last


@pytest.mark.parametrize("names", [("conv2", "norm2"), ("classes",), ("conv1", "norm1", "classes")])
def test_frozen_parts(names):
    def build():
        model = convolutional()
        for name in names:
            model.get_layer(name).trainable = False
        return model

    case = Case(build, "pool1", floats(6, 6, 2), classes(), CLASSIFIES)
    assert_trains_as_whole(build, case.cut, case.settings(accumulating), case.fit, "flatten")


def test_an_output_that_the_loss_does_not_depend_on():
    def build():
        inputs = keras.Input((6,))
        low = layers.Dense(5, name="low")(inputs)
        middle = [layers.Dense(5, name=name)(low) for name in ("one_high", "two_high")]
        return keras.Model(inputs, [layers.Dense(3, name=f"end{at}")(x) for at, x in enumerate(middle)])

    case = Case(build, "low", floats(6), [floats(3), floats(3)], {"loss": [None, "mse"]})
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        assert_trains_as_whole(
            build, case.cut, case.settings(keras.optimizers.AdamW), case.fit, ["one_high", "two_high"]
        )


def test_files_and_weights_move_all_parts(tmp_path):
    def build():
        # Without Dropout: what a whole model's file and weights leave out is the state of its seeds.
        dense = [layers.Dense(8, activation="relu", name=name) for name in ("low", "high")]
        end = layers.Dense(CLASSES, activation="softmax", name="classes")
        return keras.Sequential([keras.Input((6,)), *dense, end])

    case = mlp_case("low", build)

    def train(model):
        case.fit(model, epochs=1)
        model.save_weights(tmp_path / "kept.weights.h5")
        kept, found = model.get_weights(), [model.predict(case.batches, verbose=0)]
        for back in (
            lambda: model.set_weights(kept),
            lambda: model.load_weights(tmp_path / "kept.weights.h5"),
        ):
            found.append(case.fit(model, epochs=1))
            back()
            found.append(model.predict(case.batches, verbose=0))
        return [*found, case.fit(model)]

    found = assert_trains_as_whole(build, case.cut, case.settings(lambda: "sgd"), train, "high")
    for back in (found[2], found[4]):
        np.testing.assert_array_equal(found[0], back)


def test_verify_shows_it():
    def build():
        case = mlp_case()
        model = case.build()
        model.compile(**case.settings()())
        return model

    case = mlp_case()
    report = keras_split.verify(build, case.cut, case.x, case.y, second_cut="high", batch_size=8)
    assert report.equal, report
