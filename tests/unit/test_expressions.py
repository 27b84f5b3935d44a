"""Equal expressions have equal bits, and what TensorFlow computes in another order has another expression."""

from __future__ import annotations

import pytest
import tensorflow as tf

from keras_split.exactness.expressions import Expressions, Numbers, Place
from keras_split.exactness.graph import Graph

SHAPE = (None, 4)


def expressions_of(*functions, count=3):
    """Of what functions of so many tensors return."""
    numbers = Numbers()
    found = []
    for function in functions:
        specs = [tf.TensorSpec(SHAPE, tf.float32, name=f"x{at}") for at in range(count)]
        graph = tf.function(function, autograph=False).get_concrete_function(*specs).graph
        made = Expressions({"": Graph.of(graph)}, {}, lambda _, tensor: tensor.name, numbers)
        found.append(made.of(Place("", Graph.of(graph).results[0])))
    return found


def written(*functions):
    """The same of graphs that run as they are written."""
    options = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        return expressions_of(*functions)
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False, **options})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x, y, z: x + y, lambda x, y, z: y + x),
        (lambda x, y, z: x * y, lambda x, y, z: y * x),
        (lambda x, y, z: tf.identity(x) - y, lambda x, y, z: x - tf.identity(y)),
        (lambda x, y, z: x + x, lambda x, y, z: 2.0 * x),
        (lambda x, y, z: (0.5 * x) * y, lambda x, y, z: x * (0.5 * y)),
        (lambda x, y, z: tf.reshape(tf.reshape(x, [-1]), tf.shape(x)) * y, lambda x, y, z: x * y),
        (lambda x, y, z: tf.split(tf.concat([x, y], 1), [4, 4], 1)[1] - z, lambda x, y, z: y - z),
        (lambda x, y, z: tf.square(x - y), lambda x, y, z: tf.math.squared_difference(y, x)),
        (lambda x, y, z: tf.raw_ops.TanhGrad(y=tf.zeros_like(x), dy=y) - z, lambda x, y, z: y - z),
    ],
)
def test_what_changes_no_bit_changes_no_expression(one, other):
    first, second = written(one, other)
    assert first == second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x, y, z: (x + y) + z, lambda x, y, z: x + (y + z)),
        (lambda x, y, z: (0.3 * x) * y, lambda x, y, z: x * (0.3 * y)),
        (lambda x, y, z: x - y, lambda x, y, z: y - x),
        (lambda x, y, z: tf.add_n([x, y, z]), lambda x, y, z: tf.add_n([y, z, x])),
        (lambda x, y, z: tf.tanh(x), lambda x, y, z: tf.tanh(y)),
        (lambda x, y, z: x * 0.3, lambda x, y, z: x * 0.4),
        (lambda x, y, z: x / 3.0, lambda x, y, z: x * (1.0 / 3.0)),
    ],
)
def test_what_may_round_otherwise_is_another_expression(one, other):
    first, second = written(one, other)
    assert first != second


def test_a_sum_begins_with_the_first_addend_whose_memory_is_free():
    def free(x, y, z):
        return tf.add_n([tf.exp(x), tf.tanh(y), tf.sin(z)])

    def read_besides(x, y, z):
        first = tf.exp(x)
        return tf.add_n([first, tf.tanh(y), tf.sin(z)]), tf.cumsum(first)

    def graph_of(function):
        specs = [tf.TensorSpec(SHAPE, tf.float32)] * 3
        return Graph.of(tf.function(function, autograph=False).get_concrete_function(*specs).graph)

    firsts = []
    for function in (free, read_besides):
        graph = graph_of(function)
        name = next(name for name, node in graph.nodes.items() if node.op == "AddN")
        firsts.append(graph.first_addend(name))
    assert firsts == [0, 1]


def test_a_loop_is_what_it_begins_with_and_what_becomes_of_it():
    def loop(factor):
        def function(x, y, z):
            return tf.while_loop(lambda at, _: at < 3, lambda at, a: (at + 1, tf.sin(a) * factor), (0, x))[1]

        return function

    same, again, other = expressions_of(loop(0.3), loop(0.3), loop(0.4))
    assert same == again != other
