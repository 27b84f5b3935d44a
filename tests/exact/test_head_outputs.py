"""An output of the model that the client's first layers make trains as exactly as any other."""

from __future__ import annotations

import keras
import pytest
from keras import layers

import keras_split
from support.models import CLASSES, Case, classes, floats, read_further, tokens
from support.pairs import assert_case_trains_as_whole, assert_trains_as_whole

SPARSE = "sparse_categorical_crossentropy"
TWO = {"loss": ["mse", SPARSE], "loss_weights": [0.7, 1.3], "metrics": [["mae"], ["accuracy"]]}


def beside(activation: str = "linear"):
    """The body does not read the output that the head makes, and outputs are a dict."""

    def build() -> keras.Model:
        inputs = keras.Input((6,))
        shared = layers.Dense(7, activation="relu", name="shared")(inputs)
        side = layers.Dense(CLASSES, activation=activation, name="side")(shared)
        high = layers.Dense(5, activation="relu", name="high")(shared)
        kind = layers.Dense(CLASSES, activation="softmax", name="kind")(high)
        return keras.Model(inputs, {"side": side, "kind": kind})

    return build


def activated_later() -> keras.Model:
    """The output is a softmax that is a layer of its own, behind a Dropout that does nothing when used."""
    inputs = keras.Input((6,))
    x = layers.Dense(CLASSES, name="low")(inputs)
    x = layers.Dropout(0.3, name="drop")(layers.Softmax(name="chances")(x))
    high = layers.Dense(CLASSES, activation="softmax", name="high")(x)
    return keras.Model(inputs, [x, high])


def masked() -> keras.Model:
    """The head's output has a mask, by which its loss leaves padding out."""
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(12, 5, mask_zero=True, name="embed")(inputs)
    words = layers.Dense(12, activation="tanh", name="words")(x)
    read = layers.GlobalAveragePooling1D(name="read")(layers.Dense(4, name="high")(words))
    kind = layers.Dense(CLASSES, activation="softmax", name="kind")(read)
    return keras.Model(inputs, [words, kind])


def penalised() -> keras.Model:
    """Loss terms on both sides of a cut at an output."""
    inputs = keras.Input((6,))
    low = layers.Dense(CLASSES, kernel_regularizer="l2", activity_regularizer="l1", name="low")(inputs)
    high = layers.Dense(CLASSES, bias_regularizer="l1", kernel_regularizer="l2", name="high")(low)
    return keras.Model(inputs, [low, high])


NUMBERS, KINDS = floats(6), classes()
VECTORS = floats(CLASSES)
SENTENCES = tokens(7, 12)
DICT = {"side": KINDS, "kind": KINDS}
CROSS = {"loss": [SPARSE, SPARSE], "loss_weights": [0.7, 1.3], "metrics": [["accuracy"], ["accuracy"]]}

# With a second cut, the place of the output in the model stays the same, but not who has it.
CASES = {
    "read further, linear": Case(read_further("linear"), "low", NUMBERS, [VECTORS, KINDS], TWO, "high"),
    "read further, softmax": Case(read_further("softmax"), "low", NUMBERS, [VECTORS, KINDS], TWO),
    "logits of a softmax": Case(read_further("softmax"), "low", NUMBERS, [KINDS, KINDS], CROSS, "high"),
    "beside the cut": Case(
        beside(),
        ["shared", "side"],
        NUMBERS,
        {"side": VECTORS, "kind": KINDS},
        {"loss": {"side": "mse", "kind": SPARSE}, "metrics": {"side": ["mae"], "kind": ["accuracy"]}},
        "high",
    ),
    "logits beside the cut": Case(
        beside("softmax"), ["shared", "side"], NUMBERS, DICT, {"loss": SPARSE}, "high"
    ),
    "no loss at the cut": Case(
        beside("softmax"), ["shared", "side"], NUMBERS, {"kind": KINDS}, {"loss": {"kind": SPARSE}}, "high"
    ),
    "logits that training alone hides": Case(
        activated_later, "drop", NUMBERS, [KINDS, KINDS], {"loss": [SPARSE, SPARSE]}
    ),
    "mask": Case(masked, "words", SENTENCES, [floats(7, 12), KINDS], TWO, "read"),
    "loss terms": Case(penalised, "low", NUMBERS, [VECTORS, VECTORS], {"loss": ["mse", "mse"]}),
}


@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables:UserWarning")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_output_that_the_head_makes_trains_as_in_the_whole_model(case):
    assert_case_trains_as_whole(case)


def test_such_a_half_is_saved_and_continues(tmp_path):
    case = CASES["logits of a softmax"]

    def train(model):
        case.fit(model, epochs=1)
        model.save_weights(tmp_path / "kept.weights.h5")
        case.fit(model, epochs=1)
        model.load_weights(tmp_path / "kept.weights.h5")
        return case.fit(model)

    assert_trains_as_whole(case.build, case.cut, case.settings(lambda: "sgd"), train)


@pytest.mark.parametrize(
    ("build", "cut"), [(read_further("sigmoid"), "low"), (beside("sigmoid"), ["shared", "side"])]
)
def test_a_sigmoid_among_the_head_s_outputs_is_refused(build, cut):
    with pytest.raises(ValueError, match="leaves the sigmoid of the output '(low|side)'.*Received: cut="):
        keras_split.SplitModel(build(), cut)
    assert "low" not in [each.name for each in keras_split.list_cuts(build())]


@pytest.mark.parametrize("build", [read_further(), beside(), activated_later, masked, penalised])
def test_every_listed_cut_can_be_made(build):
    model = build()
    cuts = [cut.name for cut in keras_split.list_cuts(model)]
    assert cuts
    for cut in cuts:
        parts = keras_split.partition.partition(model, cut)
        assert len(parts.body.model.outputs) == len(model.outputs)
        for second in keras_split.list_cuts(model, after=cut):
            parts = keras_split.partition.partition(model, cut, second.name)
            assert len(parts.tail.model.outputs) == len(model.outputs)
