"""What TensorFlow would join across a cut is refused before the first step; strictly exact, it is trained."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import keras_split
from keras_split.errors import NotExact
from keras_split.segment import Input, Signature
from keras_split.verification.served import ServedEquality
from support.equality import assert_equal_training
from support.served import prepared, serve

X = np.random.default_rng(0).normal(size=(32, 12)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 32)


def sums_in_a_row():
    """Of three, of which a cut behind `first` adds up two."""
    inputs = keras.Input((12,))
    a = layers.Dense(8, activation="relu", name="a")(inputs)
    b, c = layers.Dense(8, name="b")(a), layers.Dense(8, name="c")(a)
    second = layers.Add(name="second")([layers.Add(name="first")([b, c]), a])
    return compiled(keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(second)))


def compiled(model):
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def split_at(model, cut, **options):
    split = keras_split.SplitModel(model, cut, **options)
    split.compile_from_config({**model.get_compile_config(), "jit_compile": "auto"})
    return split


@pytest.mark.parametrize("fit", [lambda m: m.fit(X, Y, verbose=0), lambda m: m.train_on_batch(X, Y)])
def test_a_cut_within_a_sum_is_refused_and_nothing_is_trained(fit):
    split = split_at(sums_in_a_row(), "first")
    before = [np.array(each) for each in split.variables]
    with pytest.raises(NotExact, match=r"(?s)exact=.strict.*cut=\['first'\]"):
        fit(split)
    for one, other in zip(before, split.variables, strict=True):
        assert np.array_equal(one, other)
    split.close()


@pytest.mark.parametrize("ask", ["evaluate", "predict"])
def test_so_it_is_where_it_is_evaluated_or_asked_for_predictions(ask):
    split = split_at(sums_in_a_row(), "first")
    with pytest.raises(NotExact):
        split.evaluate(X, Y, verbose=0) if ask == "evaluate" else split.predict(X, verbose=0)
    split.close()


def test_strictly_exact_it_is_trained_as_whole(strictly_exact):
    whole, given = (keras.utils.set_random_seed(3) or sums_in_a_row() for _ in range(2))
    split = split_at(given, "first")

    def fit(model):
        keras.utils.set_random_seed(4)
        return model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)

    assert_equal_training(whole, split, fit(whole), fit(split))
    split.close()


def test_a_server_does_not_begin_to_serve_it():
    with pytest.raises(NotExact, match="--exact strict"):
        ServedEquality(sums_in_a_row(), ["first"], [])
    ServedEquality(sums_in_a_row(), ["a"], [])


def test_a_server_prepares_no_exchange_that_would_train_another_model(tmp_path):
    seen = []

    def check(kind, signature):
        seen.append((kind, [(each.role, each.shape) for each in signature.inputs]))
        raise NotExact("another model")

    served = serve(tmp_path, check=check)
    for _ in range(2):
        with pytest.raises(NotExact):
            prepared(served)
    assert seen == 2 * [("train", [("smashed", (None, 3)), ("label", (None, 1))])]


def test_a_server_compares_for_the_labels_and_batches_of_a_client():
    equality = ServedEquality(sums_in_a_row(), ["a"], [])
    compared = []
    equality._split._equality.check = lambda kind, specs, adapts: compared.append((kind, specs))
    smashed, labels = Input("smashed", (16, 8), "float32"), Input("label", (16, 1), "float32")
    equality.check("train", Signature((smashed, labels)))
    equality.check("test", Signature((smashed,)))
    [(kind, (x, y))] = compared
    assert (kind, x.shape, y.shape, y.dtype) == ("train", (16, 12), (16, 1), "float32")


def test_an_activation_at_the_cut_is_joined_with_nothing_where_the_whole_model_joins_it_with_what_follows():
    def build():
        keras.utils.set_random_seed(3)
        return compiled(
            keras.Sequential(
                [
                    keras.Input((12,)),
                    layers.Dense(8, activation="sigmoid", name="a"),
                    layers.Activation("tanh"),
                    layers.Dense(3, activation="softmax"),
                ]
            )
        )

    whole, split = build(), split_at(build(), "a")
    np.testing.assert_array_equal(split.predict(X, verbose=0), whole.predict(X, verbose=0))
    with pytest.raises(NotExact):
        ServedEquality(build(), ["a"], [])
    split.close()
