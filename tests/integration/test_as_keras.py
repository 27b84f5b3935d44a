"""A split model is looked at, typed, saved and reset as Keras users know it of a model."""

from __future__ import annotations

import inspect
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_split
from keras_split import SplitModel
from keras_split.errors import ConnectionLost, Refused
from keras_split.partition import Part
from keras_split.session.remote import Remote
from support import bodies
from support.equality import (
    assert_same_arrays,
    assert_same_result,
    client_state,
    labelled,
    states_of_whole,
)
from support.models import (
    CLASSES,
    Case,
    classes,
    masked,
    mlp,
    mlp_case,
    nested,
    several_inputs_and_outputs,
    tokens,
)
from support.pairs import SEED, TrainedWhole

CASE = mlp_case("low_drop")
TEXT = Case(masked, "lower", tokens(7, 12), classes(), {"loss": "sparse_categorical_crossentropy"})


def names(found):
    return [each.name for each in found]


@pytest.fixture(scope="module")
def trained():
    """The model that was given, a split one of it that has been trained, and what that has predicted."""
    given = mlp()
    split = SplitModel(given, "low_drop")
    split.compile(
        "adam", "sparse_categorical_crossentropy", metrics=[keras.metrics.SparseCategoricalAccuracy()]
    )
    before = given.get_weights()
    CASE.fit(split)
    yield given, split, before
    split.close()


@pytest.mark.parametrize(
    ("build", "cut", "second", "own", "theirs"),
    [
        (mlp, "low", None, ["low"], "high_drop"),
        (mlp, "low_drop", "high", ["low", "low_drop", "high_drop", "classes"], "high"),
        (several_inputs_and_outputs, ["flatten", "learn"], None, [], "think"),
        (nested, "outer/inner/first", None, [], "second"),
    ],
    ids=["Sequential", "label-free", "dicts", "nested"],
)
def test_layers_and_shapes_are_the_whole_models(build, cut, second, own, theirs):
    whole = build()
    split = SplitModel(whole, cut, second)
    places = {each: at for at, each in enumerate(names(whole.layers))}
    if build is not nested:
        assert keras.Model(split.inputs, split.head.layers[-1].output).count_params()
        assert names(split.layers) == sorted(names(split.layers), key=places.__getitem__)
    assert set(own) <= set(names(split.layers))
    assert isinstance(split.layers[0], layers.InputLayer) == isinstance(whole.layers[0], layers.InputLayer)
    assert all(split.get_layer(each.name) is each for each in split.layers)
    assert split.get_layer(index=-1) is split.layers[-1]
    assert (split.input_shape, split.output_shape) == (whole.input_shape, whole.output_shape)
    if build is several_inputs_and_outputs:
        assert {name: each.shape for name, each in split.output.items()} == {
            name: each.shape for name, each in whole.output.items()
        }
    assert [each.dtype for each in split.outputs] == [each.dtype for each in whole.outputs]
    assert split.count_params() == sum(each.count_params() for each in (split.head, split.tail) if each)
    with pytest.raises(ValueError, match=f"'{theirs}' is on the server, which holds"):
        split.get_layer(theirs)
    with pytest.raises(ValueError, match="No such layer: nowhere"):
        split.get_layer("nowhere")
    assert all(f"'{each}'" in repr(split) for each in ([cut] if isinstance(cut, str) else cut))
    assert "private, not started" in repr(split)
    split.close()
    assert "not connected" in repr(split)


def test_a_connected_model_tells_the_servers_layers_and_shapes(client, shared_server):
    assert names(client.layers)[1:] == ["low", "low_norm", "low_drop"]
    assert client.output_shape == (None, bodies.CLASSES)
    assert shared_server.address in repr(client)
    with pytest.raises(ValueError, match="'high_norm' is on the server"):
        client.get_layer("high_norm")


def test_signatures_are_those_of_keras():
    ours, theirs = inspect.signature(SplitModel.fit), inspect.signature(keras.Model.fit)
    assert [(each.name, each.default) for each in ours.parameters.values()] == [
        (each.name, each.default) for each in theirs.parameters.values()
    ]
    assert list(inspect.signature(SplitModel.connect).parameters)[:2] == ["target", "credentials"]
    assert inspect.signature(SplitModel.connect).return_annotation == "SplitModel"
    assert "roster: File of" in inspect.getdoc(SplitModel.connect)
    assert keras_split.__version__ == keras_split.version.package_version()


def test_the_given_model_and_others_of_its_layers_have_what_was_learned(trained):
    given, split, before = trained
    other = keras.Model(given.inputs, given.get_layer("high").output)
    assert not any((old == new).all() for old, new in zip(before, given.get_weights(), strict=True))
    np.testing.assert_array_equal(given.predict(CASE.x, verbose=0), split.predict(CASE.x, verbose=0))
    assert (
        other.get_layer("high").kernel.numpy() == split.whole_model().get_layer("high").kernel.numpy()
    ).all()


def test_the_whole_model_is_compiled_as_the_split_one(trained):
    _, split, _ = trained
    whole = split.whole_model()
    assert whole.evaluate(CASE.x, CASE.y, verbose=0) == split.evaluate(CASE.x, CASE.y, verbose=0)
    # Neither disturbs the other from here on.
    assert whole.optimizer is not split.optimizer
    assert not set(map(id, whole.metrics)) & set(map(id, split.metrics))
    whole.train_on_batch(CASE.x, CASE.y)


def gradient(split, sources, read=lambda outputs: outputs):
    with tf.GradientTape() as tape:
        x = tf.convert_to_tensor(CASE.x)
        tape.watch(x)
        loss = tf.reduce_sum(read(split(x, training=False))) + tf.reduce_sum(x)
    return tape.gradient(loss, x if sources == "inputs" else split.trainable_variables)


def test_a_gradient_through_a_split_model_is_refused(trained):
    _, split, _ = trained
    for take in (gradient, tf.function(gradient, autograph=False)):
        for sources in ("inputs", "variables"):
            with pytest.raises(ValueError, match="A gradient was asked for through a SplitModel"):
                take(split, sources)
        np.testing.assert_array_equal(take(split, "inputs", tf.stop_gradient), np.ones_like(CASE.x))
    split.trainable = False
    try:
        with pytest.raises(ValueError, match="A gradient was asked for"):
            gradient(split, "inputs")
    finally:
        split.trainable = True


def test_a_split_model_is_not_trained_inside_another(trained):
    _, split, _ = trained
    inputs = keras.Input((6,))
    outer = keras.Model(inputs, layers.Dense(1)(split(inputs)))
    outer.compile("sgd", "mse")
    with pytest.raises(ValueError, match="trained by its own `fit`"):
        outer.fit(CASE.x, CASE.y, verbose=0)
    assert outer.predict(CASE.x, verbose=0).shape == (len(CASE.x), 1)


def test_a_frozen_split_model_teaches(trained):
    _, split, _ = trained
    student = mlp()
    distiller = keras.distillation.Distiller(
        split,
        student,
        distillation_losses=keras.distillation.LogitsDistillation(),
        distillation_loss_weights=1.0,
    )
    distiller.compile("adam", "sparse_categorical_crossentropy")
    before = student.get_weights()
    try:
        distiller.fit(CASE.x, CASE.y, verbose=0)
    finally:
        split.trainable = True
    assert not any((old == new).all() for old, new in zip(before, student.get_weights(), strict=True))


def test_a_graph_leads_through_the_server(trained):
    _, split, _ = trained
    both = keras.Model(split.inputs, {"low": split.get_layer("low").output, "outputs": split.output})
    assert [each.name for each in both.layers][1:] == ["low", "low_drop", f"{split.name}_server"]
    found = both.predict(CASE.x, verbose=0)
    np.testing.assert_array_equal(found["outputs"], split.predict(CASE.x, verbose=0))
    low = keras.Model(split.inputs, split.get_layer("low").output)
    np.testing.assert_array_equal(found["low"], low.predict(CASE.x, verbose=0))
    with tf.GradientTape() as tape:
        outputs = both(tf.convert_to_tensor(CASE.x), training=False)["outputs"]
    with pytest.raises(ValueError, match="A gradient was asked for"):
        tape.gradient(outputs, split.trainable_variables)
    with pytest.raises(ValueError, match="cannot be saved"):
        both.get_config()


def test_errors_of_a_call_hold_no_data(trained):
    _, split, _ = trained
    with pytest.raises(ValueError, match="trained by its own") as refused:
        split(CASE.x, training=True)
    assert "array" not in str(refused.value)


def test_more_batch_lengths_than_a_server_compiles_for(monkeypatch):
    asked = []
    prepare = Remote.prepare
    monkeypatch.setattr(Remote, "prepare", lambda *given: asked.append(given) or prepare(*given))
    split = SplitModel(mlp(), "low")
    split.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    lengths = range(1, 80)
    x, y = np.zeros((80, 6), "float32"), np.zeros(80)
    for rows in lengths:
        assert split(x[:rows]).shape == (rows, CLASSES)
    split.fit(((x[:rows], y[:rows]) for rows in lengths), steps_per_epoch=79, shuffle=False, verbose=0)
    split.close()
    kinds = {given[1].mode for given in asked}
    assert kinds == {"train", "predict"}
    assert len({given[1].key() for given in asked}) <= 2 * len(kinds)


def test_an_exchange_that_the_server_has_forgotten_is_prepared_again():
    split = SplitModel(mlp(), "low")
    x = np.zeros((1, 6), "float32")
    traced = tf.function(split, autograph=False)
    first = np.asarray(traced(x))
    for rows in range(2, 68):
        # In a graph each length has an exchange of its own, so that all of a private server's are replaced.
        tf.function(split, autograph=False)(tf.zeros((rows, 6)))
    np.testing.assert_array_equal(traced(x), first)
    split.close()


@pytest.mark.parametrize("second", [None, "high"], ids=["labels shared", "label-free"])
def test_a_private_half_finds_its_body_again(tmp_path, second):
    def train(model):
        CASE.fit(model)
        return CASE.fit(model, epochs=1)

    whole = TrainedWhole(CASE.build, CASE.settings(), train)
    keras.utils.set_random_seed(SEED)
    split = SplitModel(CASE.build(), CASE.cut, second, checkpoint_dir=tmp_path / "kept")
    split.compile(**CASE.settings()())
    keras.utils.set_random_seed(SEED)
    CASE.fit(split)
    split.save(tmp_path / "half.keras")
    CASE.fit(split)  # From here on nothing is in the file.
    split.close()

    loaded = keras.models.load_model(tmp_path / "half.keras")
    assert names(loaded.layers) == names(split.layers)
    assert_same_result(whole.result, CASE.fit(loaded, epochs=1))
    client, server = states_of_whole(whole.model, CASE.cut, second)
    assert_same_arrays(client, client_state(loaded), "client")
    body = Part.from_config(split._halves.parts.body.to_config()).model
    found = labelled(loaded._halves.session().inspect(), loaded.optimizer, body)
    assert_same_arrays(server, found, "server")
    with pytest.raises(Refused, match="put together again"):
        loaded.whole_model()
    loaded.close()

    os.chmod(tmp_path / "kept", 0o777)
    with pytest.raises(ConnectionLost, match="another user or may be written by all"):
        CASE.fit(keras.models.load_model(tmp_path / "half.keras"))
    shutil.rmtree(tmp_path / "kept")
    with pytest.raises(ConnectionLost, match="kept is not on this machine"):
        CASE.fit(keras.models.load_model(tmp_path / "half.keras"))


def test_a_copy_of_a_private_half_is_not_connected(tmp_path):
    split = SplitModel(mlp(), "low", checkpoint_dir=Path(tmp_path))
    copied = keras.models.clone_model(split)
    split.close()
    with pytest.raises(ConnectionLost, match="not connected"):
        copied.predict(CASE.x, verbose=0)


def going_on() -> keras.Model:
    """States that one batch leaves to the next, on both sides."""
    return keras.Sequential(
        [
            keras.Input(batch_shape=(4, 3, 2)),
            layers.SimpleRNN(4, stateful=True, return_sequences=True, name="low"),
            layers.Bidirectional(layers.SimpleRNN(3, stateful=True), name="high"),
            layers.Dense(1, name="value"),
        ]
    )


def test_states_are_reset_on_both_sides():
    x = np.random.default_rng(3).normal(size=(8, 3, 2)).astype("float32")
    y = x.sum((1, 2), keepdims=True)[:, :, 0]

    def results(model, reset):
        model.compile("sgd", "mse")
        resetting = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: reset())
        options = {"batch_size": 4, "shuffle": False, "verbose": 0}
        first = model.fit(x, y, epochs=2, callbacks=[resetting], **options).history["loss"]
        reset()
        return [*first, *model.fit(x, y, epochs=2, **options).history["loss"]]

    def built():
        keras.utils.set_random_seed(SEED)
        return going_on()

    def reset_each(model):
        return lambda: [model.get_layer(name).reset_state() for name in ("low", "high")]

    whole = built()
    expected = results(whole, reset_each(whole))
    assert expected != results(built(), lambda: None)
    for by_layers in (False, True):
        given = built()
        split = SplitModel(given, "low")
        assert results(split, reset_each(given) if by_layers else split.reset_states) == expected
        split.close()
