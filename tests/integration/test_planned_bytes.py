"""A plan's bytes are those of the tensors that a session really exchanges."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import keras_split
from keras_split.session import Session
from support import models
from support.models import CLASSIFIES, ROWS, Case, classes, floats, mlp_case, tokens
from support.pairs import SEED

KINDS = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
BATCH = 5
LINE = {"bandwidth_mbps": 100, "rtt_ms": 20, "client_gflops": 10, "server_gflops": 1000}


def lenet() -> keras.Model:
    return keras_split.zoo.lenet((8, 8, 1), classes=models.CLASSES)


def frozen() -> keras.Model:
    model = models.mlp()
    model.get_layer("low").trainable = False
    return model


def with_a_choice(read: Any, chosen_from: Any) -> Any:
    """Classes from a tensor, and from a choice that no gradient comes back from."""
    choice = layers.Dense(3, name="choice", trainable=False)(chosen_from)
    chosen = keras.ops.one_hot(keras.ops.argmax(choice, axis=-1), 3)
    joined = layers.Concatenate(name="join")([read, chosen])
    return layers.Dense(models.CLASSES, activation="softmax", name="classes")(joined)


def deaf() -> keras.Model:
    """The body reads one of two frontier tensors in a way that no gradient comes back from."""
    inputs = keras.Input((6,))
    low = layers.Dense(8, name="low")(inputs)
    return keras.Model(inputs, with_a_choice(low, inputs))


def half_precision() -> keras.Model:
    keras.config.set_dtype_policy("mixed_bfloat16")
    return models.mlp()


def output_at_the_cut(activation: str | None) -> Case:
    """The head makes an output of the model itself."""

    def build() -> keras.Model:
        inputs = keras.Input((6,))
        low = layers.Dense(models.CLASSES, activation=activation, name="low")(inputs)
        high = layers.Dense(5, name="high")(low)
        return keras.Model(inputs, [low, layers.Dense(models.CLASSES, name="classes")(high)])

    return Case(build, "low", floats(6), [classes(), classes()], {"loss": [CLASSIFIES["loss"]] * 2})


def unread() -> keras.Model:
    """The tail reads one of the body's two outputs in a way that no gradient goes back from."""
    inputs = keras.Input((6,))
    low = layers.Dense(8, name="low")(inputs)
    high = layers.Dense(8, name="high")(low)
    return keras.Model(inputs, with_a_choice(high, low))


def one_hot() -> np.ndarray:
    return np.eye(models.CLASSES)[classes()]


IMAGES = floats(6, 6, 2)
SEVERAL_X = {"image": IMAGES, "facts": floats(5)}
SEVERAL_Y = {"kind": classes(), "size": floats(1)}
WORDS, PADDED = tokens(7, 12), tokens(7, 12)
CASES = {
    "lenet": Case(lenet, "conv1", floats(8, 8, 1), classes(), CLASSIFIES),
    "skip across the cut": Case(models.residual, "block1_relu", IMAGES, classes(), CLASSIFIES),
    "mask": Case(models.masked, "embed", PADDED, classes(), CLASSIFIES),
    "mask to the end": Case(models.masked_to_the_end, "embed", PADDED, WORDS, CLASSIFIES),
    "two outputs": Case(models.several_inputs_and_outputs, "join", SEVERAL_X, SEVERAL_Y, {"loss": KINDS}),
    "one loss of two": Case(
        models.several_inputs_and_outputs,
        "think",
        SEVERAL_X,
        {"size": SEVERAL_Y["size"]},
        {"loss": {"size": "mse"}},
    ),
    "output at the cut": output_at_the_cut(None),
    "softmax at the cut": output_at_the_cut("softmax"),
    "no gradient": Case(deaf, ["low", "choice"], floats(6), classes(), CLASSIFIES),
    "loss terms": Case(models.penalised, "low2", floats(6), classes(), CLASSIFIES),
    "frozen head": mlp_case(build=frozen),
    "bfloat16": mlp_case(build=half_precision),
    "nested, one-hot labels": Case(
        models.nested, "outer/inner/first", floats(6), one_hot(), {"loss": "categorical_crossentropy"}
    ),
}


@pytest.fixture
def exchanged(monkeypatch):
    """Bytes of the tensors of each step, by role, up and down."""
    steps: list[tuple[dict[str, int], dict[str, int]]] = []
    step = Session.step

    def spied(session, prepared, tensors, *pace):
        reply = step(session, prepared, tensors, *pace)
        exchange = prepared.exchange
        flat = [*exchange.smashed, *_leaves(exchange.labels), *_leaves(exchange.sample_weight)]
        steps.append((_by_role(flat, tensors), _by_role(prepared.outputs, reply)))
        return reply

    monkeypatch.setattr(Session, "step", spied)
    return steps


@pytest.fixture
def exchanged_label_free(monkeypatch):
    """Likewise of each step in two round trips."""
    steps: list[tuple[dict[str, int], dict[str, int]]] = []
    forward, backward = Session.forward, Session.backward

    def spied_forward(session, prepared, tensors, *pace):
        reply = forward(session, prepared, tensors, *pace)
        steps.append((_by_role(prepared.exchange.smashed, tensors), _by_role(prepared.forwarded, reply)))
        return reply

    def spied_backward(session, gradients):
        wanted = session._steps._opened.prepared.backward
        reply = backward(session, gradients)
        up, down = steps[-1]
        up["gradient"] = sum(each.nbytes for each in gradients)
        down.update(_by_role(wanted, reply))
        return reply

    monkeypatch.setattr(Session, "forward", spied_forward)
    monkeypatch.setattr(Session, "backward", spied_backward)
    return steps


def _leaves(nest: Any) -> list[Any]:
    return [each for each in keras.tree.flatten(nest) if each is not None]


def _by_role(specs: Any, arrays: Any) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for spec, array in zip(specs, arrays, strict=True):
        found[spec.role] += array.nbytes
    return dict(found)


def predicted(case: Case, **options: Any) -> keras_split.planning.PlannedCut:
    model = case.build()
    model.compile(**case.settings()())
    return keras_split.plan(model, **LINE, batch_size=BATCH, cuts=[case.cut], **options).best


def train(case: Case, second_cut: str | list[str] | None = None, **options: Any) -> None:
    """Whole batches only."""
    assert ROWS % BATCH == 0
    keras.utils.set_random_seed(SEED)
    split = keras_split.SplitModel(case.build(), case.cut, second_cut)
    try:
        split.compile(**case.settings()())
        split.fit(case.x, case.y, batch_size=BATCH, verbose=0, **options)
    finally:
        split.close()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bytes_are_those_of_the_tensors_of_a_real_step(case, exchanged):
    cut = predicted(case)
    train(case)
    assert exchanged == [(cut.up, cut.down)] * (ROWS // BATCH)
    assert cut.bytes_up == sum(exchanged[0][0].values())


def test_bytes_with_labels_and_weights_of_ones_own_are_those_of_a_real_step(exchanged):
    case = mlp_case()
    labels, weights = case.y.astype("uint8"), np.linspace(0, 1, ROWS)
    cut = predicted(case, labels=labels, sample_weight=weights)
    train(Case(case.build, case.cut, case.x, labels, case.compiled), sample_weight=weights)
    assert exchanged == [(cut.up, cut.down)] * (ROWS // BATCH)
    assert (cut.up["label"], cut.up["sample_weight"]) == (BATCH, 4 * BATCH)


LABEL_FREE = {
    "lenet": (CASES["lenet"], "flatten"),
    "around the server": (CASES["skip across the cut"], "block2_relu"),
    "mask to the end": (CASES["mask to the end"], "read"),
    "two outputs": (CASES["two outputs"], "think"),
    "loss terms": (CASES["loss terms"], "high_energy"),
    "softmax at the cut": (CASES["softmax at the cut"], "high"),
    "frozen head": (CASES["frozen head"], "high"),
    "bfloat16": (CASES["bfloat16"], "high"),
    "no gradient": (Case(unread, "low", floats(6), classes(), CLASSIFIES), ["high", "choice"]),
}


@pytest.mark.parametrize(("case", "second_cut"), LABEL_FREE.values(), ids=LABEL_FREE)
def test_bytes_of_a_label_free_step_are_those_of_its_two_round_trips(case, second_cut, exchanged_label_free):
    cut = predicted(case, second_cut=second_cut)
    train(case, second_cut)
    assert exchanged_label_free == [(cut.up, cut.down)] * (ROWS // BATCH)
    assert "label" not in cut.up
