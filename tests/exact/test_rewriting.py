"""Without TensorFlow's rewriting of graphs, split equals whole at cuts that fusion would reach across.

docs/exactness.md has the reasons.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import pytest
import tensorflow as tf
from keras import layers

import keras_split
from support.equality import assert_same_result
from support.models import (
    CLASSES,
    CLASSIFIES,
    Case,
    classes,
    convolutional,
    floats,
    mlp_case,
    read_further,
    residual,
)
from support.pairs import assert_trains_as_whole, paired_models


@pytest.fixture(autouse=True)
def no_graph_rewriting(strictly_exact):
    """Left to itself, TensorFlow fuses neighbouring operations into kernels that round in another way.

    What a cut keeps apart it cannot fuse. All tests that need this are here, since each process that runs one
    starts a server with this setting.
    """


def activated(function: str):
    """A layer whose activation is a layer of its own, behind the cut."""

    def build():
        return keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(16, name="low"),
                layers.Activation(function, name="activation"),
                layers.Dense(CLASSES, activation="softmax", name="classes"),
            ]
        )

    return Case(build, "low", floats(6), classes(), CLASSIFIES)


def many_addends() -> keras.Model:
    """Two sums, one on each side, which TensorFlow would make one."""
    inputs = keras.Input((6,))
    terms = [layers.Dense(8, name=f"term{at}")(inputs) for at in range(5)]
    x = layers.Add(name="first_sum")(terms[:3])
    x = layers.Add(name="second_sum")([x, *terms[3:]])
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="classes")(x))


CASES = {
    # Of several operations, in both directions; with nothing fused, all other activations are simpler.
    "gelu": activated("gelu"),
    "sum": Case(many_addends, ["first_sum", "term3", "term4"], floats(6), classes(), CLASSIFIES),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_cut_between_operations_that_would_be_fused(case):
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit_and_use)


@pytest.mark.parametrize("cut", ["block1_conv1", "block1_relu"])
def test_a_cut_inside_a_residual_block_in_bfloat16(cut):
    keras.config.set_dtype_policy("mixed_bfloat16")
    case = Case(residual, cut, floats(6, 6, 2), classes(), CLASSIFIES)
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit_and_use)


def test_calling_a_model_outside_of_a_graph():
    case = Case(convolutional, "pool1", floats(6, 6, 2), classes())
    with paired_models(case.build, case.cut) as pair:
        assert_same_result(*pair.both(lambda model: model(case.x)))


def eagerly(case: Case) -> Case:
    return replace(case, compiled={**case.compiled, "run_eagerly": True})


def test_running_eagerly():
    # Without a graph at the client there is nothing to rewrite, and so there must not be at the server.
    case = eagerly(mlp_case())
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit_and_use, None, "high")


def test_without_graphs_the_logits_are_found_as_well():
    loss = "sparse_categorical_crossentropy"
    compiled = {"loss": [loss, loss], "loss_weights": [0.7, 1.3], "metrics": [["accuracy"], ["accuracy"]]}
    case = eagerly(Case(read_further("softmax"), "low", floats(6), [classes(), classes()], compiled))
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit, None, "high")


def test_a_split_model_may_ask_for_strict_exactness():
    given = mlp_case().build()
    keras_split.SplitModel(given, "low_drop", exact="strict").close()
    assert tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]
    with pytest.raises(ValueError, match="Received: kind='exactly'"):
        keras_split.SplitModel(given, "low_drop", exact="exactly")
