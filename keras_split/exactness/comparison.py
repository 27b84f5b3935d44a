"""Compares the whole model's step with the steps of its parts, as TensorFlow will run them.

Each of them is traced, and left to TensorFlow's optimizer. Then what a variable becomes in the whole model's
step has to be the same expression as in the part that has the variable.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.data.ops import iterator_ops

from keras_split.exactness.expressions import Expressions, Numbers, Place
from keras_split.exactness.graph import Graph, Ref
from keras_split.exactness.hollow import hollow
from keras_split.exactness.partner import Partner
from keras_split.exactness.whole import whole_twin
from keras_split.partition import Partition, named_variables, shown_names
from keras_split.segment import ARGUMENT, Settings
from keras_split.state import slots_of

_WHOLE, _CLIENT, _SERVER = "whole", "client", "server"


@dataclass(frozen=True)
class Subject:
    """A split model that is to be compared with the whole one.

    Args:
        parts: Of the whole model, not trained by anybody; its layers are those of the split model.
        compile_as: Compiles a whole model as the split one is.
        settings: Makes those of the server's part.
        optimizer: The client's.
        metrics: Returns the variables of the client's metrics.
        step: What the client does with a batch: to train, to test or to predict.
        asking: Within, that asks a partner in place of the server.
    """

    parts: Partition
    compile_as: Callable[[keras.Model], None]
    settings: Callable[[], Settings]
    optimizer: Any
    metrics: Callable[[], Sequence[Any]]
    step: Callable[[Any], Any]
    asking: Callable[[Partner], contextlib.AbstractContextManager[Any]]


def first_difference(subject: Subject, kind: str, data: Any) -> str | None:
    """What would not be the same as in the whole model, for people; None if all is.

    Args:
        subject: The split model.
        kind: `"train"`, `"test"` or `"predict"`.
        data: Specs of a batch, or of an iterator over batches.
    """
    with hollow():
        twin = whole_twin(subject.parts.whole, subject.compile_as)
        partner = Partner(subject.parts, subject.settings())
        whole = _traced(getattr(twin, f"{kind}_step"), data)
        with subject.asking(partner):
            client = _traced(subject.step, data)
        names = _Names(subject.parts.whole)
        names.add(_WHOLE, whole, twin.optimizer, twin.metrics_variables)
        names.add(_CLIENT, client, subject.optimizer, subject.metrics())
        names.add(_SERVER, partner.graph, partner.segment.optimizer, ())
        # What layers have added to the loss belongs to graphs that end here.
        subject.parts.whole._clear_losses()
    numbers = Numbers()
    one = {_WHOLE: Graph.of(whole)}
    two = {_CLIENT: Graph.of(client), _SERVER: Graph.of(partner.graph)}
    expected = Expressions(one, {}, names.given, numbers)
    found = Expressions(two, _handed(two, _own_inputs(partner.graph)), names.given, numbers)
    if kind == "predict":
        return _first_output(expected, one[_WHOLE], found, two[_CLIENT])
    written = [found.writes(side) for side in two]
    for key, made in expected.writes(_WHOLE).items():
        theirs = [each[key] for each in written if key in each]
        if not theirs or any(each != made for each in theirs):
            return names.shown(key)
    return None


def _first_output(expected: Expressions, whole: Graph, found: Expressions, client: Graph) -> str | None:
    for at, (one, other) in enumerate(zip(whole.results, client.results, strict=True)):
        if expected.of(Place(_WHOLE, one)) != found.of(Place(_CLIENT, other)):
            return f"output {at}"
    return None


def _traced(step: Callable[[Any], Any], data: Any) -> Any:
    def of_iterator(iterator: Any) -> Any:
        return step(iterator.get_next())

    is_iterator = isinstance(data, iterator_ops.IteratorSpec)
    function = tf.function(of_iterator if is_iterator else step, autograph=False)
    return function.get_concrete_function(data).graph


def _own_inputs(graph: Any) -> list[str]:
    """Names of a function's arguments, without what it captures."""
    return [each.op.name for each in graph.inputs[: len(graph.inputs) - len(graph.captures)]]


def _handed(graphs: dict[str, Graph], arguments: Sequence[str]) -> dict[Place, Place]:
    """Which tensors of the one side are which of the other: by the places at which they are sent."""
    client, server = graphs[_CLIENT], graphs[_SERVER]
    asks, answers = client.exchanges(), server.exchanges()
    if not asks:
        return {}
    found: dict[Place, Place] = {}

    def hand(from_side: str, sent: Sequence[Ref], to_side: str, received: Sequence[Ref]) -> None:
        pairs = zip(sent, received, strict=False)
        found.update({Place(to_side, there): Place(from_side, here) for here, there in pairs})

    # In front of what else the client's operation reads, for itself.
    hand(_CLIENT, client.inputs(asks[0]), _SERVER, [Ref(each) for each in arguments])
    for ask, answer in zip(asks[1:], answers, strict=False):
        sent = client.inputs(ask)
        hand(_CLIENT, sent, _SERVER, [Ref(answer, place) for place in range(len(sent))])
    replies = [server.inputs(each) for each in answers] or [server.results]
    for ask, reply in zip(asks, replies, strict=False):
        hand(_SERVER, reply, _CLIENT, [Ref(ask, place) for place in range(len(reply))])
    return found


class _Names:
    """What comes into the graphs of one model and its parts, known by what it is in the model.

    Args:
        model: Whose layers all of them share.
    """

    def __init__(self, model: keras.Model):
        self._known: dict[tuple[str, str], Any] = {}
        # Of one variable there is one handle, in all graphs.
        self._weights = {_handle(each)._id: name for name, each in _shown(model).items()}

    def add(self, side: str, graph: Any, optimizer: Any, metrics: Sequence[Any]) -> None:
        """Takes in a graph.

        Args:
            side: Its name.
            graph: Traced.
            optimizer: Whose variables it may have.
            metrics: Further variables, which have the same order in all graphs.
        """
        special: dict[int, Any] = {_handle(each)._id: ("metric", at) for at, each in enumerate(metrics)}
        slots = slots_of(optimizer, optimizer._trainable_variables)
        for slot, variable in zip(slots, optimizer.variables, strict=True):
            owner = None if slot.owner is None else _handle(slot.owner)._id
            special[_handle(variable)._id] = ("slot", owner, slot.place, slot.name)
        for outside, inside in graph.captures:
            self._known[side, inside.op.name] = special.get(outside._id, _value(outside))
        for at, name in enumerate(_own_inputs(graph)):
            self._known[side, name] = ("data", at)

    def given(self, side: str, tensor: Ref) -> Any:
        """What a tensor is that comes into a graph; equal for the same things."""
        return self._known.get((side, tensor.name.removesuffix(ARGUMENT)), ("data", tensor.place))

    def shown(self, key: Any) -> str:
        """What it is, for people."""
        if key[0] == "slot":
            return f"{key[3]!r} of the optimizer for {self._weights.get(key[1], 'all')!r}"
        if key[0] == "metric":
            return "the loss or a metric"
        return repr(self._weights.get(key[1], "a variable"))


def _shown(model: keras.Model) -> dict[str, Any]:
    shown = shown_names(model)
    return {shown[name]: each for name, each in named_variables(model).items()}


def _handle(variable: Any) -> Any:
    return getattr(variable, "value", variable).handle


def _value(captured: Any) -> Any:
    """A variable by its handle; a constant by its value."""
    if captured.dtype in (tf.resource, tf.variant):
        return ("variable", captured._id)
    return ("constant", captured.dtype.name, np.asarray(captured).tobytes())
