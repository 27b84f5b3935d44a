"""A tape that goes through a part and the other party's shadow builds the whole model's gradients."""

from __future__ import annotations

import json

import keras
import pytest
import tensorflow as tf

from graphs.draw import drawn
from keras_split.errors import ProtocolError
from keras_split.segment import Shadow, Tape, roots_of

# Dense with three and more readers, a shared layer, images, LSTM and attention, an Embedding with masks.
SEEDS = (2, 5, 10, 16, 31)


def traced(function, draft):
    x, y = draft.data()
    specs = [[tf.TensorSpec([None, *each.shape[1:]], each.dtype) for each in nest] for nest in (x, y)]
    return tf.function(function, autograph=False).get_concrete_function(*specs).graph


def expression(tensor, known):
    """A number for how a tensor is computed, down to constants and arguments."""
    key = (tensor.op.name, tensor.value_index)
    if key not in known:
        known[key] = 0  # A loop's body has a graph of its own.
        op = tensor.op
        value = str(op.get_attr("value"))[:500] if op.type == "Const" else ""
        name = op.name if op.type == "Placeholder" else ""
        inputs = tuple(expression(each, known) for each in op.inputs)
        known[key] = hash((op.type, tensor.value_index, inputs, value, name))
    return known[key]


def expressions(function, draft):
    graph = traced(function, draft)
    known = {}
    return [expression(each, known) for each in graph.outputs]


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_are_the_operations_that_tensorflows_own_tape_makes(seed):
    draft = drawn(seed)
    model = draft.build()
    sources = [each.value for each in model.trainable_variables]

    def loss_of(x, y):
        y_pred = keras.tree.flatten(model(x if len(x) > 1 else x[0], training=True))
        pairs = zip(y, y_pred, strict=True)
        return tf.add_n([tf.reduce_mean(tf.square(tf.cast(t, p.dtype) - p)) for t, p in pairs])

    def expected(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(x, y)
        return [tf.convert_to_tensor(each) for each in tape.gradient(loss, sources) if each is not None]

    def found(x, y):
        with Tape() as tape:
            loss = loss_of(x, y)
        gradients = tape.pull(roots_of(loss, []), sources=sources)
        return [tf.convert_to_tensor(each) for each in map(gradients.of, sources) if each is not None]

    assert expressions(expected, draft) == expressions(found, draft)


STEPS = [[[0], 1, [None]], [[2, 1], 1, [True, [0, [1, 0]]]]]
WRITTEN = [STEPS, 3, [[[1, 0], 2], [[0, 5, 1], None]], [3, None], [["a/b_1", True], ["", False]]]


def test_a_shadow_is_read_as_it_was_written():
    shadow = Shadow.from_text(json.dumps(WRITTEN), inputs=2, leaves=2)
    assert json.loads(shadow.to_text()) == WRITTEN


SPOILT = {
    "no list": {},
    "too short": WRITTEN[:4],
    "reads what is not there yet": [[[[2], 1, [True]]], *WRITTEN[1:]],
    "gives a gradient that is not sent": [[[[0], 1, [2]]], *WRITTEN[1:]],
    "gives nothing in particular to what is sent": [[[[0], 1, [True]]], *WRITTEN[1:]],
    "an empty sum": [[[[0], 1, [[]]]], *WRITTEN[1:]],
    "a sum without end": [[[[0], 1, [json.loads("[" * 40 + "0" + "]" * 40)]]], *WRITTEN[1:]],
    "more gifts than reads": [[[[0], 1, [0, 0]]], *WRITTEN[1:]],
    "a truth value for a number": [[[[True], 1, [0]]], *WRITTEN[1:]],
    "a negative count": [[[[0], -1, [0]]], *WRITTEN[1:]],
    "tensors without number": [[[[0], 1 << 30, [0]]], *WRITTEN[1:]],
    "a loss that is nowhere": [STEPS, 9, *WRITTEN[2:]],
    "a rank of text": [STEPS, 3, [[["1"], 2]], *WRITTEN[3:]],
    "a name too few": [*WRITTEN[:4], [["a", True]]],
    "a name of numbers": [*WRITTEN[:4], [["a", True], [1, True]]],
}


@pytest.mark.parametrize("value", SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_shadow_is_refused(value):
    with pytest.raises(ProtocolError, match="operations makes no sense"):
        Shadow.from_text(json.dumps(value), inputs=2, leaves=2)


def test_a_name_that_tensorflow_would_not_take_is_dropped():
    names = [["a b", True], ["x" * 5000, True]]
    shadow = Shadow.from_text(json.dumps([*WRITTEN[:4], names]), inputs=2, leaves=2)
    assert [name for name, _ in shadow.made] == ["", ""]
