"""Random numbers that do not come from a generator of the model's own.

A layer that keeps a `keras.random.SeedGenerator` has its state among the model's variables, and draws on its
side of a cut what it draws in the whole model. Keras' global generator and TensorFlow's own operations draw
what the whole program has not drawn so far: in two programs that is something else.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.ops.handle_data_util import get_resource_handle_data

from keras_split.errors import Refused

_OF_A_STATE = {
    "NonDeterministicInts",
    "RngReadAndSkip",
    "RngSkip",
    "StatefulUniform",
    "StatefulUniformInt",
} | {
    *("StatefulUniformFullInt", "StatefulStandardNormal", "StatefulStandardNormalV2"),
    *("StatefulTruncatedNormal", "StatefulRandomBinomial"),
}
# Of Keras' generators, and of TensorFlow's.
_SEED_SIZES = (2, 3)
_ADVICE = (
    "Each side of a cut would draw something else than the whole model. Keep a `keras.random.SeedGenerator` "
    "in the layer, `self.generator = keras.random.SeedGenerator(seed)`, and pass `seed=self.generator` to "
    "the functions of `keras.random`."
)


@contextlib.contextmanager
def draws_of_its_own(model: keras.Model, others: Iterable[Any] = ()) -> Iterator[None]:
    """Refuses a graph of a part in which something else is drawn from than the part's generators.

    Args:
        model: The part, whose graph is made within.
        others: Variables of generators that may be drawn from besides.

    Raises:
        Refused: With the layer's name.
    """
    if not tf.inside_function():
        yield
        return
    graph = tf.compat.v1.get_default_graph()
    version, known = graph.version, {id(inner) for _, inner in graph.captures}
    yield
    own = {id(handle) for each in (*model.variables, *others) for handle in _handles(each)}
    for outer, inner in graph.captures:
        if id(inner) not in known and id(outer) not in own and _is_seed(inner):
            names = [each.name for each in inner.consumers()]
            raise Refused(
                f"{_somewhere(model, names)} draws from a generator that is no part of the model, such as "
                f"Keras' global one. {_ADVICE}"
            )
    for name, kind in _operations(graph, version):
        raise Refused(f"{_somewhere(model, [name])} draws by TensorFlow's {kind}. {_ADVICE}")


@contextlib.contextmanager
def draws_nothing(what: str) -> Iterator[None]:
    """Refuses what takes numbers from NumPy's or Python's own generator while a graph is made.

    Args:
        what: Begins the text.

    Raises:
        Refused: Something did.
    """
    before = _state()
    yield
    if _state() != before:
        # Keras' global generator takes its seed from Python's.
        raise Refused(
            f"{what} draws from a generator that is no part of the model: NumPy's or Python's while its "
            f"graph is made, or Keras' global one. {_ADVICE}"
        )


def _state() -> tuple[Any, ...]:
    kind, key, *rest = np.random.get_state()
    return random.getstate(), kind, np.asarray(key).tobytes(), rest


def _handles(variable: Any) -> Iterator[Any]:
    value = variable.value
    for each in getattr(value, "values", None) or (value,):
        yield each.handle


def _is_seed(handle: Any) -> bool:
    if handle.dtype != tf.resource:
        return False
    data = get_resource_handle_data(handle)
    if not data.is_set or not data.shape_and_type:
        return False
    sizes = [each.size for each in data.shape_and_type[0].shape.dim]
    dtype = tf.as_dtype(data.shape_and_type[0].dtype)
    return dtype.is_integer and len(sizes) == 1 and sizes[0] in _SEED_SIZES


def _operations(graph: tf.Graph, version: int) -> Iterator[tuple[str, str]]:
    """Names and kinds of operations with a state that have been made since."""
    made = graph.as_graph_def(from_version=version)
    for nodes in (made.node, *(each.node_def for each in made.library.function)):
        for node in nodes:
            draws = "seed" in node.attr and "seed2" in node.attr and not node.op.startswith("Cudnn")
            if draws or node.op in _OF_A_STATE:
                yield node.name, node.op


def _somewhere(model: keras.Model, names: Iterable[str]) -> str:
    """The innermost layer in whose scope operations are."""
    layers = {each.name for each in model._flatten_layers(include_self=False)}
    for name in names:
        for scope in reversed(name.split("/")):
            # TensorFlow numbers scopes that are entered again.
            for candidate in (scope, scope.rpartition("_")[0]):
                if candidate in layers:
                    return f"Layer {candidate!r}"
    return f"A loss, a regulariser, a constraint or the optimizer in {model.name!r}"
