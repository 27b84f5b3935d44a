"""An output of the model that the client's first layers make trains as exactly as any other."""

from __future__ import annotations

import keras
import pytest
from keras import layers

import keras_split
from support.equality import assert_same_result
from support.models import CLASSES, Case, classes, floats, tokens
from support.pairs import assert_trains_as_whole, paired_models

ACTIVATIONS = ["linear", "tanh", "softmax"]
SPARSE = "sparse_categorical_crossentropy"
TWO = {"loss": ["mse", SPARSE], "loss_weights": [0.7, 1.3], "metrics": [["mae"], ["accuracy"]]}


def read_further(activation: str = "linear"):
    """The first output is what the others are computed from."""

    def build() -> keras.Model:
        inputs = keras.Input((6,))
        low = layers.Dense(CLASSES, activation=activation, name="low")(inputs)
        high = layers.Dense(5, activation="relu", name="high")(low)
        kind = layers.Dense(CLASSES, activation="softmax", name="kind")(high)
        return keras.Model(inputs, [low, kind])

    return build


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
    words = layers.GRU(12, return_sequences=True, activation="tanh", name="words")(x)
    kind = layers.Dense(CLASSES, activation="softmax", name="kind")(layers.LSTM(4, name="read")(words))
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

CASES = {
    **{
        f"read further, {name}": Case(read_further(name), "low", NUMBERS, [VECTORS, KINDS], TWO)
        for name in ACTIVATIONS
    },
    "logits of a softmax": Case(read_further("softmax"), "low", NUMBERS, [KINDS, KINDS], CROSS),
    "beside the cut": Case(
        beside(),
        ["shared", "side"],
        NUMBERS,
        {"side": VECTORS, "kind": KINDS},
        {"loss": {"side": "mse", "kind": SPARSE}, "metrics": {"side": ["mae"], "kind": ["accuracy"]}},
    ),
    "logits beside the cut": Case(beside("softmax"), ["shared", "side"], NUMBERS, DICT, {"loss": SPARSE}),
    "no loss at the cut": Case(
        beside("softmax"), ["shared", "side"], NUMBERS, {"kind": KINDS}, {"loss": {"kind": SPARSE}}
    ),
    "logits that training alone hides": Case(
        activated_later, "drop", NUMBERS, [KINDS, KINDS], {"loss": [SPARSE, SPARSE]}
    ),
    "mask": Case(masked, "words", SENTENCES, [floats(7, 12), KINDS], TWO),
    "loss terms": Case(penalised, "low", NUMBERS, [VECTORS, VECTORS], {"loss": ["mse", "mse"]}),
}


@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables:UserWarning")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_output_that_the_head_makes_trains_as_in_the_whole_model(case):
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit_and_use)


# With the second cut, the place of the output in the model stays the same, but not who has it.
LABEL_FREE = {
    **{name: (CASES[name], "high") for name in CASES if name.startswith(("read further", "logits of a"))},
    **{name: (CASES[name], "high") for name in CASES if "beside" in name or "no loss" in name},
    "mask": (CASES["mask"], "read"),
}


@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables:UserWarning")
@pytest.mark.parametrize(("case", "second_cut"), LABEL_FREE.values(), ids=LABEL_FREE)
def test_an_output_of_the_head_stays_with_a_client_that_shares_no_labels(case, second_cut):
    assert_trains_as_whole(case.build, case.cut, case.settings(), case.fit_and_use, second_cut)


@pytest.mark.parametrize("second_cut", [None, "high"])
def test_without_graphs_the_logits_are_found_as_well(no_graph_rewriting, second_cut):
    case = CASES["logits of a softmax"]
    eager = Case(case.build, case.cut, case.x, case.y, {**case.compiled, "run_eagerly": True})
    with paired_models(case.build, case.cut, second_cut) as pair:
        assert_same_result(*pair.compile(eager.settings()).both(eager.fit))


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
