"""A legal cut trains exactly, and no other cut is made."""

from __future__ import annotations

import functools
import re

import keras
import pytest
from keras import layers

import keras_split
from support.cases import CASES, images
from support.models import convolutional, floats, masked, nested, residual, several_inputs_and_outputs
from support.pairs import TrainedWhole, paired_models

BLOCK = ("conv1", "norm1", "relu", "conv2", "add")
CUTS = {
    convolutional: [
        *["conv1", "norm1", "relu1", "drop1", "pool1"],
        *["conv2", "norm2", "relu2", "noise2", "flatten"],
    ],
    residual: [
        "stem",
        *[f"{block}_{layer}" for block in ("block1", "block2") for layer in BLOCK],
        "average",
    ],
}
# What test_models.py trains for longer is left to it.
TRAINED_LONGER = [(case.build, case.cut) for case in CASES.values()]
EVERY_CUT = [
    (build, cut) for build, cuts in CUTS.items() for cut in cuts if (build, cut) not in TRAINED_LONGER
]


def names(model: keras.Model) -> list[str]:
    return [cut.name for cut in keras_split.list_cuts(model)]


@pytest.mark.parametrize("build", CUTS, ids=lambda build: build.__name__)
def test_every_layer_but_the_last_is_listed(build):
    assert names(build()) == CUTS[build]


@functools.cache
def trained_whole(build) -> TrainedWhole:
    """The reference for every cut of a model."""
    case = images(build, "")
    return TrainedWhole(build, case.settings(), lambda model: case.fit(model, epochs=1))


@pytest.mark.parametrize(
    ("build", "cut"), EVERY_CUT, ids=[f"{build.__name__}-{cut}" for build, cut in EVERY_CUT]
)
def test_every_listed_cut_trains_exactly(build, cut):
    with trained_whole(build).equals_split(cut):
        pass


def test_list_cuts_counts_what_can_be_counted_by_hand():
    def build():
        return keras.Sequential(
            [
                keras.Input((6, 6, 2)),
                layers.Conv2D(4, 3, use_bias=False, name="conv"),
                layers.Flatten(name="flatten"),
                layers.Dense(5, use_bias=False, name="dense"),
            ]
        )

    conv, flatten = keras_split.list_cuts(build())
    weights = 3 * 3 * 2 * 4
    multiplications = 2 * weights * 4 * 4
    dense = 4 * 4 * 4 * 5
    assert (conv.name, conv.shapes, conv.bytes_per_sample) == ("conv", ((None, 4, 4, 4),), 4 * 64)
    assert (conv.client_parameters, conv.client_flops) == (weights, multiplications)
    assert conv.parameter_share == weights / (weights + dense)
    assert conv.flops_share == multiplications / (multiplications + 2 * dense)
    assert (flatten.name, flatten.shapes, flatten.bytes_per_sample) == ("flatten", ((None, 64),), 4 * 64)
    assert (flatten.client_parameters, flatten.client_flops) == (weights, multiplications)


def test_list_cuts_counts_one_sample_of_a_batch_of_fixed_size():
    def build(fixed):
        left = keras.Input(batch_shape=(8, 6), name="left") if fixed else keras.Input((6,), name="left")
        low = [
            layers.Dense(4, name="low")(left),
            layers.Dense(5, name="right")(keras.Input((6,), name="other")),
        ]
        joined = layers.Concatenate(name="joined")(low)
        return keras.Model([left, low[1]._keras_history.operation.input], layers.Dense(3)(joined))

    open_sized, fixed = (keras_split.list_cuts(build(each)) for each in (False, True))
    assert str(fixed) == str(open_sized)
    assert (fixed[0].name, fixed[0].client_flops, fixed[0].shapes) == ("joined", 117, ((8, 9),))


def test_list_cuts_prints_a_table_and_shows_one_in_a_notebook():
    found = keras_split.list_cuts(residual())
    lines = str(found).splitlines()
    assert lines[0].split() == ["Cut", "Frontier", "Bytes/sample", "Parameters", "Share", "FLOPs", "Share"]
    assert [line.split()[0] for line in lines[2:]] == [cut.name for cut in found]
    assert "6x6x4 + 6x6x4          1,152" in str(found)
    shown = found._repr_html_()
    assert shown.count("<tr>") == len(found) + 1
    assert "<td>block1_relu</td><td>6x6x4 + 6x6x4</td><td>1,152</td>" in shown
    assert isinstance(found, list) and found[-1:] == [found[-1]]
    nothing = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="low")])
    assert str(keras_split.list_cuts(nothing)) in keras_split.list_cuts(nothing)._repr_html_()
    odd = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="a>b"), layers.Dense(2)])
    assert "<td>a&gt;b</td>" in keras_split.list_cuts(odd)._repr_html_()


def test_list_cuts_counts_every_tensor_that_crosses():
    found = {cut.name: cut for cut in keras_split.list_cuts(residual())}
    # The block's input goes around the cut.
    assert found["block1_relu"].shapes == ((None, 6, 6, 4), (None, 6, 6, 4))
    assert found["block1_relu"].bytes_per_sample == 2 * 6 * 6 * 4 * 4
    assert found["block1_add"].shapes == ((None, 6, 6, 4),)


def test_list_cuts_counts_two_bytes_for_bfloat16():
    full = keras_split.list_cuts(convolutional())[0].bytes_per_sample
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert keras_split.list_cuts(convolutional())[0].bytes_per_sample == full // 2


def test_list_cuts_has_paths_into_nested_models():
    inner = ["outer/inner", "outer/inner/first", "outer/inner/second"]
    assert set(names(nested())) == {
        "outer",
        "outer/before",
        "outer/drop",
        *inner,
        "outer/around",
        "outer/after",
    }


def test_list_cuts_lets_a_mask_cross_and_no_token():
    cut = keras_split.list_cuts(masked())[0]
    assert (cut.name, set(cut.shapes)) == ("embed", {(None, 7), (None, 7, 5)})
    # One byte of mask and a vector of floats for each of seven tokens.
    assert cut.bytes_per_sample == 7 + 7 * 5 * 4


def assert_second_cut_refused(model, cut, second_cut, *parts):
    """Passes if the error has these parts, and what was received."""
    with pytest.raises(ValueError) as caught:
        keras_split.SplitModel(model, cut, second_cut)
    for part in (*parts, f"Received: cut={cut!r}, second_cut={second_cut!r}"):
        assert part in str(caught.value)


def assert_refused(model, cut, *parts):
    """Passes if the error has these parts, the names of the legal cuts, and what was received."""
    with pytest.raises(ValueError) as caught:
        keras_split.SplitModel(model, cut)
    text = str(caught.value)
    for part in (*parts, f"Received: cut={cut!r}", *map(repr, names(model)[:12])):
        assert part in text


def test_a_raw_input_never_crosses():
    model = several_inputs_and_outputs()
    assert_refused(model, "look", "'look'", "raw input 'facts'", "'learn' reads it")


def test_a_raw_input_around_the_cut_never_crosses():
    inputs = keras.Input((6,), name="secret")
    x = layers.Dense(6, name="low")(inputs)
    x = layers.Add(name="back")([x, inputs])
    model = keras.Model(inputs, layers.Dense(2, name="out")(x))
    assert_refused(model, "low", "raw input 'secret'", "'back' reads it")
    assert names(model) == ["back"]


def test_a_layer_on_both_sides_is_refused():
    inputs = keras.Input((6,))
    twice = layers.Dense(6, name="twice")
    x = layers.ReLU(name="between")(twice(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="out")(twice(x)))
    assert_refused(model, "between", "'twice' on both sides")
    # By its own name it means both of its uses, and is on one side.
    assert names(model) == ["twice"]


def test_a_head_without_weights_is_refused():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, name="low"),
            layers.Dense(2, name="out"),
        ]
    )
    assert_refused(model, "flatten", "no layer with weights on the client")
    assert names(model) == ["low"]


def test_a_head_of_statistics_alone_is_refused():
    scale, low = layers.Normalization(name="scale"), layers.Dense(3, name="low")
    model = keras.Sequential([keras.Input((6,)), scale, low, layers.Dense(2, name="out")])
    assert_refused(model, "scale", "no layer with weights on the client")
    assert names(model) == ["low"]


def test_a_frozen_head_has_weights_all_the_same():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, name="low"), layers.Dense(2, name="out")])
    model.get_layer("low").trainable = False
    assert names(model) == ["low"]


def test_a_second_cut_without_weights_behind_it_is_refused():
    low, high = layers.Dense(3, name="low"), layers.Dense(2, name="high")
    model = keras.Sequential([keras.Input((6,)), low, high, layers.Softmax(name="classes")])
    assert_second_cut_refused(model, "low", "high", "no layer with weights behind the second cut")
    assert keras_split.list_cuts(model, after="low") == []


def test_a_second_cut_that_leaves_an_output_to_the_server_is_refused():
    inputs = keras.Input((6,))
    high = layers.Dense(4, name="high")(layers.Dense(5, name="low")(inputs))
    model = keras.Model(inputs, [layers.Dense(2, name="aside")(high), layers.Dense(3, name="end")(high)])
    parts = "leaves an output of the model to the server", "Legal second cuts behind 'low'", "'high'"
    assert_second_cut_refused(model, "low", "aside", *parts)
    assert [each.name for each in keras_split.list_cuts(model, after="low")] == ["high"]


def test_a_raw_input_that_the_last_layers_read_is_refused():
    inputs = keras.Input((6,), name="secret")
    high = layers.Dense(6, name="high")(layers.Dense(5, name="low")(inputs))
    weighed = layers.Multiply(name="weighed")([high, inputs])
    model = keras.Model(inputs, layers.Dense(2, name="end")(weighed))
    parts = "raw input 'secret' in the gradients", "'weighed' behind the second cut reads it"
    assert_second_cut_refused(model, "low", "high", *parts)


def test_second_cuts_are_listed_behind_legal_cuts_only():
    with pytest.raises(ValueError, match="not legal. Received: after='classes'"):
        keras_split.list_cuts(convolutional(), after="classes")


def test_the_last_layer_is_no_cut():
    assert_refused(convolutional(), "classes", "'classes'", "leaves no layer for the server")


def test_an_unknown_name_is_refused():
    assert_refused(convolutional(), "pool9", "there is no layer 'pool9'")
    assert_refused(nested(), "outer/inner/third", "there is no layer 'outer/inner/third'")
    assert_refused(convolutional(), ["pool1", "pool9"], "there is no layer 'pool9'")
    assert_refused(convolutional(), [], "names no layer")


def test_a_model_without_a_graph_is_refused():
    class Free(keras.Model):
        def __init__(self):
            super().__init__(name="free")
            self.low = layers.Dense(2, name="low")

        def call(self, x):
            return self.low(x)

    model = Free()
    model(floats(3))
    with pytest.raises(ValueError, match=re.escape("Only functional and Sequential models")):
        keras_split.SplitModel(model, "low")


def test_the_head_has_none_of_the_server_s_layers():
    with paired_models(residual, "block1_relu") as pair:
        held = {layer.name for layer in pair.split.head.layers}
    assert "block1_conv1" in held
    assert not held & {"block1_conv2", "block1_add", "average", "classes"}
