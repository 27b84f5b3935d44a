"""The graph between two places of a model as a model of its own, which makes its calls in the same order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
from keras import tree

from keras_split.errors import TopologyError
from keras_split.naming import distinct_names
from keras_split.partition.graph import Graph, node_of

# Places of a call: of its operation in the model, and among the calls of this operation.
Call = tuple[int, int]


def between(graph: Graph, inputs: Any, outputs: Any, name: str) -> keras.Model:
    """A model of what is computed between some tensors and others; shares its layers.

    Keras takes such a part out by copying its nodes, and loses the way where an output is an input
    itself. So the part is made without these first, and then they are joined to its own inputs.

    Layers that draw random numbers or count statistics remember the order in which they are called. Keras
    would order the calls of a part by their distance to the part's outputs, which is another one than in the
    whole model.

    Args:
        graph: With the order of the whole model's calls.
        inputs: Nest of symbolic tensors inside it.
        outputs: Nest of symbolic tensors, at least one of them computed from the inputs.
        name: Of the part.
    """
    given = tree.flatten(inputs)
    places = {id(each): at for at, each in enumerate(given)}
    flat = tree.flatten(outputs)
    computed = [each for each in flat if id(each) not in places]
    with distinctly_named(_operations(computed, given)):
        part = keras.Model(inputs, computed, name=name)
        originals = _originals(zip(part.outputs, computed, strict=True))
        made = iter(part.outputs)
        joined = [part.inputs[places[id(each)]] if id(each) in places else next(made) for each in flat]
        part = keras.Model(part.input, tree.pack_sequence_as(outputs, joined), name=name)
        _name_inputs(part, given)
    ranks = {node: at for at, node in enumerate(graph.nodes)}
    # Masks that no layer reads are in no model's graph. They draw nothing, and stand at the end.
    order = sorted(_nodes(part), key=lambda node: ranks.get(originals.get(node), len(ranks)))
    _put_in_order(part, order)
    return part


def calls_of(model: keras.Model) -> list[Call]:
    """The calls of a model in the order in which it makes them."""
    nodes = _nodes(model)
    numbers = {node: at for own in _calls_by_operation(model, nodes) for at, node in enumerate(own)}
    places = {id(operation): at for at, operation in enumerate(model.operations)}
    return [(places[id(node.operation)], numbers[node]) for node in nodes]


def call_in_order(model: keras.Model, calls: Iterable[Sequence[int]]) -> None:
    """Has a model that was rebuilt from its config make its calls in the order of the first one.

    Args:
        model: Functional.
        calls: As `calls_of` gave them.

    Raises:
        TopologyError: They are not the model's, or one stands before what it reads.
    """
    by_operation = _calls_by_operation(model, _nodes(model))
    known = {(at, number): node for at, own in enumerate(by_operation) for number, node in enumerate(own)}
    wanted = [(at, number) for at, number in calls]
    if sorted(wanted) != sorted(known):
        raise TopologyError("The order of a part's calls is not of this part.")
    nodes = [known[call] for call in wanted]
    done: set[Any] = {node for node in _all_nodes(model) if node.is_input}
    for node in nodes:
        if not done.issuperset(node.parent_nodes):
            raise TopologyError("The order of a part's calls has a call in front of what it reads.")
        done.add(node)
    _put_in_order(model, nodes)


@contextlib.contextmanager
def distinctly_named(operations: Sequence[Any]) -> Iterator[None]:
    """Gives each operation a name of its own for a while.

    Layers of an opened model and those around it may have one name, which Keras does not take in one model.
    """
    names = [operation.name for operation in operations]
    try:
        for operation, name in zip(operations, distinct_names(names), strict=True):
            operation.name = name
        yield
    finally:
        for operation, name in zip(operations, names, strict=True):
            operation.name = name


def _operations(outputs: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """What makes the outputs from the inputs, in an order that follows from the graph alone."""
    ends = set(map(id, inputs))
    found: dict[int, Any] = {}
    seen: set[Any] = set()
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop()
        node = node_of(tensor)
        if node in seen or (id(tensor) in ends and not node.is_input):
            continue
        seen.add(node)
        found[id(node.operation)] = node.operation
        waiting += node.input_tensors
    return list(found.values())


def _originals(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """For the nodes behind some tensors those of which they are copies, or they themselves."""
    found: dict[Any, Any] = {}
    waiting = list(pairs)
    while waiting:
        tensor, original = waiting.pop()
        node = node_of(tensor)
        if not node.is_input and node not in found:
            found[node] = node_of(original)
            waiting += zip(node.input_tensors, found[node].input_tensors, strict=True)
    return found


def _name_inputs(part: keras.Model, given: Sequence[Any]) -> None:
    """Keras names a part's inputs by what it has counted in this process, with `CLONE` behind it."""
    taken = {operation.name for operation in part.operations}
    new = [each for each, old in zip(part.inputs, given, strict=True) if each is not old]
    free = (
        name for name in map("frontier_{}".format, range(1, len(new) + len(taken) + 1)) if name not in taken
    )
    for tensor, name in zip(new, free, strict=False):
        tensor.name = node_of(tensor).operation.name = name
    part.output_names = [node_of(each).operation.name for each in part.outputs]


def _all_nodes(model: keras.Model) -> list[Any]:
    by_depth = model._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def _nodes(model: keras.Model) -> list[Any]:
    return [node for node in _all_nodes(model) if not node.is_input]


def _calls_by_operation(model: keras.Model, nodes: Sequence[Any]) -> list[list[Any]]:
    own = set(nodes)
    return [[node for node in each._inbound_nodes if node in own] for each in model.operations]


def _put_in_order(model: keras.Model, nodes: Sequence[Any]) -> None:
    """Has a model make its calls in this order: Keras goes by depths, and within one by the list."""
    levels = [[node for node in _all_nodes(model) if node.is_input]]
    for node in nodes:
        # Nodes of one depth do not read each other; `summary` looks at it.
        if set(levels[-1]).intersection(node.parent_nodes):
            levels.append([])
        levels[-1].append(node)
    model._nodes_by_depth.clear()
    model._nodes_by_depth.update(zip(range(len(levels) - 1, -1, -1), levels, strict=True))
