"""Split training equals whole training for every shape of graph that can be cut."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from support.cases import CASES, NUMBERS, images
from support.models import Case, accumulating, convolutional, floats, mlp, mlp_case
from support.pairs import TrainedWhole, assert_case_trains_as_whole, assert_trains_as_whole, paired_models


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_training_split_equals_training_whole(case):
    assert_case_trains_as_whole(case)


def test_lists_in_and_out_with_unnamed_losses():
    def build():
        first, second = keras.Input((6,)), keras.Input((6,))
        low = keras.layers.Dense(5, name="low")
        x = keras.layers.Subtract(name="less")([low(first), low(second)])
        outputs = [keras.layers.Dense(2, name="one")(x), keras.layers.Dense(3, name="two")(x)]
        return keras.Model([first, second], outputs)

    case = Case(
        build,
        "less",
        [NUMBERS, NUMBERS[::-1]],
        [floats(2), floats(3)],
        {"loss": ["mse", "mae"], "loss_weights": [0.3, 0.9], "metrics": [["mae"], ["mse", "mae"]]},
    )
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit)


def two_ways() -> keras.Model:
    """Two branches that never meet."""
    inputs = keras.Input((6,))
    one = keras.layers.Dense(5, name="one_low")(inputs)
    two = keras.layers.Dense(5, name="two_low")(inputs)
    outputs = [keras.layers.Dense(2, name="one")(one), keras.layers.Dense(3, name="two")(two)]
    return keras.Model(inputs, outputs)


def test_a_frontier_tensor_that_the_loss_does_not_depend_on():
    labels = [floats(2), floats(3)]
    case = Case(two_ways, ["one_low", "two_low"], NUMBERS, labels, {"loss": [None, "mse"]})
    # No gradient is not a gradient of zeros: with momentum and decay the weights would move.
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        assert_trains_as_whole(case.build, case.cut, case.settings(keras.optimizers.AdamW), case.fit)


def frozen(*names: str):
    def build():
        model = convolutional()
        for name in names:
            model.get_layer(name).trainable = False
        return model

    return build


def test_frozen_layers_on_both_sides():
    case = images(frozen("conv1", "norm2"), "pool1")
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit)


def test_a_wholly_frozen_head_gets_no_cut_gradients():
    case = images(frozen("conv1", "norm1"), "pool1")
    whole = TrainedWhole(case.build, case.settings(), case.fit)
    with whole.equals_split(case.cut, "flatten"):
        pass
    with whole.equals_split(case.cut) as (_, history):
        sent, received = history.history["bytes_sent"], history.history["bytes_received"]
    smashed = len(case.x) * 3 * 3 * 4 * 4
    assert min(sent) > smashed > max(received)


def test_a_wholly_frozen_body():
    case = images(frozen("conv2", "norm2", "classes"), "pool1")
    assert_trains_as_whole(case.build, case.cut, case.settings(accumulating), case.fit)


def test_splitting_leaves_the_given_model_as_it_was():
    case = mlp_case()
    keras.utils.set_random_seed(3)
    model = mlp()
    before = [np.array(each) for each in model.variables]
    with paired_models(lambda: model, case.cut) as pair:
        np.testing.assert_array_equal(pair.split.predict(case.x, verbose=0), model.predict(case.x, verbose=0))
    for was, each in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(was, each)


def test_whole_model_has_what_both_halves_learned():
    case = images(convolutional, "pool1")
    with paired_models(case.build, case.cut) as pair:
        pair.compile(case.settings()).both(case.fit)
        for ours, theirs in zip(pair.whole.weights, pair.split.whole_model().weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
