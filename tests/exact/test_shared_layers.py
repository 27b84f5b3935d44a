"""Layers that run several times make their calls in the whole model's order, wherever their part is built."""

from __future__ import annotations

import json
import random

import keras
import numpy as np
import pytest
from keras import layers

import keras_split
from keras_split.partition import Part, partition
from keras_split.partition.between import calls_of
from keras_split.partition.graph import Graph

X = np.random.default_rng(1).normal(size=(32, 6)).astype("float32")
Y = np.random.default_rng(2).integers(0, 3, 32)


def block(draw: random.Random) -> keras.Model:
    inputs = keras.Input((6,))
    drop = layers.Dropout(0.3)
    x = drop(layers.Dense(6)(inputs))
    return keras.Model(inputs, keras.ops.add(x, drop(x)) if draw.random() < 0.5 else drop(x))


def entangled(seed: int) -> keras.Model:
    """A graph whose shared layers are called at all distances from its outputs."""
    draw = random.Random(seed)
    inputs = [keras.Input((6,)) for _ in range(draw.choice([1, 2]))]
    shared = [layers.Dropout(0.2), layers.BatchNormalization(), layers.Dense(6), block(draw)]
    tensors = list(inputs)
    for _ in range(draw.randint(4, 12)):
        one, other = draw.choice(tensors[-4:]), draw.choice(tensors[-4:])
        kinds = [lambda x: draw.choice(shared)(x)] * 4 + [
            layers.Dense(6),
            lambda x, y=other: keras.ops.add(x, y),
        ]
        tensors.append(draw.choice(kinds)(one))
    joined = layers.Concatenate()([layers.Dense(3)(each) for each in tensors[-3:]])
    return keras.Model(inputs, [layers.Dense(3)(joined), layers.Dense(2)(draw.choice(tensors[1:]))])


def called(model: keras.Model) -> list[int]:
    """Layers and operations in the order in which a model runs them."""
    return [id(model.operations[at]) for at, _ in calls_of(model)]


@pytest.mark.parametrize("seed", range(16))
def test_every_part_makes_its_calls_in_the_order_of_the_whole_model(seed):
    model = entangled(seed)
    order = [id(node.operation) for node in Graph(model).nodes]
    cuts = [(cut.name, None) for cut in keras_split.list_cuts(model)]
    cuts += [(cuts[0][0], cut.name) for cut in keras_split.list_cuts(model, after=cuts[0][0])] if cuts else []
    for cut in random.Random(seed).sample([each for each in cuts if "/" not in each[0]], k=min(3, len(cuts))):
        parts = partition(model, *cut)
        for part in filter(None, (parts.head, parts.body, parts.tail)):
            own = set(called(part.model))
            assert called(part.model) == [each for each in order if each in own], (seed, cut)
            rebuilt = Part.from_config(json.loads(json.dumps(part.to_config())))
            assert calls_of(rebuilt.model) == calls_of(part.model), (seed, cut)
            own_names, names = ([each.name for each in one.model.operations] for one in (part, rebuilt))
            assert own_names == names


def siamese() -> keras.Model:
    """One encoder for two inputs, of which the first is further from the outputs of each part."""
    inside = [layers.Dense(6), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(6)]
    encoder = keras.Sequential([keras.Input((6,)), *inside], name="encoder")
    one, other = keras.Input((6,)), keras.Input((6,))
    first, second = encoder(one), encoder(other)
    drop = layers.Dropout(0.3)
    x = layers.Subtract()([layers.Dense(6)(drop(layers.Dense(6)(first))), drop(second)])
    x = layers.Dense(3, activation="softmax")(layers.Dense(4, name="late")(x))
    model = keras.Model([one, other], x)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("second_cut", [None, "late"])
def test_a_siamese_encoder_trains_exactly(second_cut):
    data = {"x": [X, X[::-1]], "y": Y, "batch_size": 8, "second_cut": second_cut}
    report = keras_split.verify(siamese, "encoder", **data)
    assert report.equal, report


def recurring() -> keras.Model:
    """A nested model whose layers are called as those around it are."""
    inner = [layers.Dense(6, name="low"), layers.Dropout(0.3, name="drop"), layers.Dense(6, name="more")]
    outer = [
        layers.Dense(6, name="low"),
        layers.Dropout(0.3, name="drop"),
        layers.Dense(3, activation="softmax"),
    ]
    nested = keras.Sequential([keras.Input((6,)), *inner], name="nested")
    model = keras.Sequential([keras.Input((6,)), nested, *outer])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("cuts", [("nested/low", None), ("nested/drop", "low")])
def test_nested_models_whose_names_recur_train_exactly(cuts):
    report = keras_split.verify(recurring, cuts[0], X, Y, batch_size=8, second_cut=cuts[1])
    assert report.equal, report


def test_layers_of_one_name_are_listed_and_keep_it():
    model = recurring()
    listed = ["nested", "nested/low", "nested/drop", "nested/more", "low", "drop"]
    assert [cut.name for cut in keras_split.list_cuts(model)] == listed
    with pytest.raises(ValueError, match="'nested/low', 'nested/drop', 'nested/more', 'low', 'drop'"):
        keras_split.SplitModel(model, "nosuch")
    body = partition(model, "nested/low").body.model
    assert [each.name for each in body.layers[1:-1]] == ["drop", "more", "low", "drop"]


def test_weights_of_a_model_that_is_built_again_are_loaded_though_keras_has_counted_on(tmp_path):
    def build() -> keras_split.SplitModel:
        x = layers.Dense(6)(inputs := keras.Input((6,)))
        x = layers.Dropout(0.3)(keras.ops.maximum(x, layers.Dense(6)(x)))
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
        cut = next(each.name for each in keras_split.list_cuts(model) if each.name.startswith("maximum"))
        split = keras_split.SplitModel(model, cut, checkpoint_dir=str(tmp_path / "kept"))
        split.compile("adam", "sparse_categorical_crossentropy")
        return split

    first = build()
    first.fit(X, Y, batch_size=16, verbose=0)
    first.save_weights(tmp_path / "half.weights.h5")
    expected = first.predict(X, verbose=0)
    first.close()
    second = build()
    second.load_weights(tmp_path / "half.weights.h5")
    assert np.array_equal(second.predict(X, verbose=0), expected)
    second.fit(X, Y, batch_size=16, verbose=0)
    second.close()
