"""Without sharing labels, split training equals whole training as well."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import keras_split
from support.cases import CASES as SHARED
from support.equality import assert_equal_training, assert_same_result
from support.models import CLASSIFIES, Case, classes, convolutional, floats, mlp_case
from support.pairs import assert_trains_as_whole, paired_models

IMAGES = floats(8, 8, 2)


# Where the body ends, and not where it begins, is what differs here.
SAME_ENDS = {"batch_norm_last_on_the_client", "skip_connection_beside_the_cut", "path_into_a_nested_model"}


def with_second_cuts():
    found = {}
    for name, case in SHARED.items():
        if name in SAME_ENDS:
            continue
        legal = keras_split.list_cuts(case.build(), after=case.cut)
        if legal:
            found[name] = (case, legal[-1].name)
    return found


CASES = with_second_cuts()


@pytest.mark.parametrize("name", CASES)
def test_training_label_free_equals_training_whole(name):
    case, second_cut = CASES[name]
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit_and_use, second_cut)


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


@pytest.mark.parametrize("cut", [["down1", "down2"], "down2", "down1"])
def test_what_goes_around_the_server_stays_on_the_client(cut):
    pixels = (floats(8, 8, 1) > 0).astype("float32")
    case = Case(unet, cut, IMAGES, pixels, {"loss": "binary_crossentropy", "metrics": ["accuracy"]})
    with paired_models(unet, cut, "up1") as pair:
        ours, theirs = pair.compile(case.settings()).both(case.fit_and_use)
        assert_equal_training(pair.whole, pair.split, ours, theirs)
        sections = pair.split._halves.parts.sections
        assert sections.kept == 1
        assert [each.shape for each in sections.frontier.tensors][-1][1:] == (
            (8, 8, 4) if cut == "down1" else (4, 4, 6)
        )


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "averages": lambda: keras.optimizers.AdamW(0.01, use_ema=True, ema_overwrite_frequency=2),
    "clipped": lambda: keras.optimizers.Adam(clipnorm=0.05),
    "accumulated": lambda: keras.optimizers.Adam(gradient_accumulation_steps=2),
    "scheduled": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.05, 5)),
    "scaled": lambda: keras.optimizers.SGD(0.05, loss_scale_factor=8.0),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_optimizers(optimizer):
    case = Case(convolutional, "pool1", floats(6, 6, 2), classes(), CLASSIFIES)
    assert_trains_as_whole(case.build, case.cut, case.settings(optimizer), case.fit, "flatten")


@pytest.mark.parametrize(
    "names", [("conv1", "norm1"), ("conv2", "norm2"), ("classes",), ("conv1", "norm1", "classes")]
)
def test_frozen_head_body_and_tail(names):
    def build():
        model = convolutional()
        for name in names:
            model.get_layer(name).trainable = False
        return model

    case = Case(build, "pool1", floats(6, 6, 2), classes(), CLASSIFIES)
    assert_trains_as_whole(build, case.cut, case.settings(), case.fit, "flatten")


def test_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    case = Case(convolutional, "pool1", floats(6, 6, 2), classes(), CLASSIFIES)
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit, "flatten")


@pytest.mark.parametrize(
    "options",
    [
        {"steps_per_execution": 4},
        {"weighted_metrics": ["accuracy"]},
    ],
    ids=["several_steps_per_execution", "weighted_metrics"],
)
def test_compile_options_and_weights(options):
    case = mlp_case(**options)
    weights = np.linspace(0.1, 2.0, len(case.x))

    def train(model):
        return case.fit(model, sample_weight=weights, validation_split=0.2)

    assert_trains_as_whole(case.build, case.cut, case.settings(), train, "high")


def test_single_batches_and_callbacks():
    case = mlp_case()

    def train(model):
        found = [model.train_on_batch(case.x[:8], case.y[:8])]
        found.append(model.test_on_batch(case.x, case.y, return_dict=True))
        callbacks = [
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 / (1 + epoch)),
            keras.callbacks.EarlyStopping("loss", patience=1, min_delta=10.0, restore_best_weights=True),
        ]
        found.append(case.fit(model, epochs=4, callbacks=callbacks, class_weight={0: 2.0, 1: 0.5}))
        return [*found, model.predict_on_batch(case.x)]

    assert_trains_as_whole(case.build, case.cut, case.settings(), train, "high")


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
    case = mlp_case()

    def train(model):
        case.fit(model, epochs=1)
        model.save_weights(tmp_path / "kept.weights.h5")
        kept = model.get_weights()
        case.fit(model, epochs=1)
        model.set_weights(kept)
        found = [model.predict(case.x, verbose=0)]
        model.load_weights(tmp_path / "kept.weights.h5")
        found.append(model.predict(case.x, verbose=0))
        return [*found, case.fit(model)]

    with paired_models(case.build, case.cut, "high_drop") as pair:
        pair.compile(case.settings(lambda: "sgd"))
        split = pair.both(train)[1]
        np.testing.assert_array_equal(split[0], split[1])


def test_verify_shows_it():
    def build():
        case = mlp_case()
        model = case.build()
        model.compile(**case.settings()())
        return model

    case = mlp_case()
    report = keras_split.verify(build, case.cut, case.x, case.y, second_cut="high", batch_size=8)
    assert report.equal, report


def test_running_eagerly_without_rewriting(no_graph_rewriting):
    case = mlp_case(run_eagerly=True)
    with paired_models(case.build, case.cut, "high") as pair:
        assert_same_result(*pair.compile(case.settings()).both(case.fit))
