"""Split training equals whole training for every shape of graph that can be cut."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from support.equality import assert_equal_training
from support.models import (
    CLASSIFIES,
    Case,
    attention,
    augmented,
    classes,
    convolutional,
    floats,
    masked,
    masked_to_the_end,
    mlp,
    mlp_case,
    nested,
    penalised,
    residual,
    several_inputs_and_outputs,
    standardised,
    tokens,
)
from support.pairs import assert_trains_as_whole, paired_models

IMAGES, NUMBERS = floats(6, 6, 2), floats(6)
SENTENCES = tokens(7, 12)


def images(build, cut):
    return Case(build, cut, IMAGES, classes(), CLASSIFIES)


def sentences(cut, build=masked):
    return Case(build, cut, SENTENCES, classes(), CLASSIFIES)


def numbers(build, cut):
    return Case(build, cut, NUMBERS, classes(), CLASSIFIES)


def both_ways(cut):
    return Case(
        several_inputs_and_outputs,
        cut,
        {"image": IMAGES, "facts": floats(5)},
        {"kind": classes(), "size": floats(1)},
        {
            "loss": {"kind": "sparse_categorical_crossentropy", "size": "mse"},
            "loss_weights": {"kind": 0.7, "size": 1.3},
            "metrics": {"kind": ["accuracy"], "size": ["mae"]},
        },
    )


CASES = {
    "sequential": images(convolutional, "pool1"),
    "batch_norm_last_on_the_client": images(convolutional, "norm1"),
    "batch_norm_and_dropout_first_on_the_server": images(convolutional, "conv1"),
    "augmentation_on_the_client": images(augmented, "conv"),
    "statistics_of_data_on_both_sides": numbers(standardised, "low"),
    "skip_connection_across_the_cut": images(residual, "block1_relu"),
    "skip_connection_beside_the_cut": images(residual, "block1_add"),
    "several_inputs_and_outputs": both_ways("join"),
    "several_names": both_ways(["look", "learn"]),
    "nested_behind_the_cut": numbers(nested, "outer"),
    "path_into_a_nested_model": numbers(nested, "outer/drop"),
    "path_into_a_model_in_a_nested_model": numbers(nested, "outer/inner/first"),
    "mask_after_embedding": sentences("embed"),
    "mask_between_recurrent_layers": sentences("lower"),
    "attention": sentences("first_norm", attention),
    "attention_behind_the_cut": sentences("embed", attention),
    "mask_up_to_the_loss": Case(masked_to_the_end, "embed", SENTENCES, SENTENCES, CLASSIFIES),
    "additional_losses_on_both_sides": numbers(penalised, "low2"),
    "additional_losses_at_the_cut": numbers(penalised, "low_energy"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_training_split_equals_training_whole(case):
    def use(model):
        history = case.fit(model, validation_data=(case.x, case.y))
        return history, model.predict(case.x, batch_size=8, verbose=0)

    assert_trains_as_whole(case.build, case.cut, case.settings(), use)


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
    with paired_models(case.build, case.cut) as pair:
        ours, theirs = pair.compile(case.settings()).both(case.fit)
        assert_equal_training(pair.whole, pair.split, ours, theirs)
        sent, received = theirs.history["bytes_sent"], theirs.history["bytes_received"]
    smashed = len(case.x) * 3 * 3 * 4 * 4
    assert min(sent) > smashed > max(received)


def test_a_wholly_frozen_body():
    case = images(frozen("conv2", "norm2", "classes"), "pool1")
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit)


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
