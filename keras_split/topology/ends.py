"""Inputs and outputs of a functional model, and the graph between them."""

from __future__ import annotations

from typing import Any

from keras_split.topology.calls import Call, Reference, leaves
from keras_split.topology.checks import Options, Refusal, printable_name, refused
from keras_split.topology.limits import TopologyLimits
from keras_split.topology.ordering import processing_order
from keras_split.topology.parts import Graph, Part
from keras_split.topology.reader import INPUT_RULE

Parts = dict[str, Part]
Calls = dict[str, tuple[Call, ...]]


def functional_graph(options: Options, parts: Parts, calls: Calls, limits: TopologyLimits) -> Graph:
    """Joins the parts of a Functional model.

    Raises:
        Refusal: Its inputs or outputs do not exist, or its calls have no order.
    """
    inputs = _ends(options["input_layers"], parts, calls, "input_layers")
    outputs = _ends(options["output_layers"], parts, calls, "output_layers")
    named = [each.layer for each in leaves(inputs, Reference)]
    layers = {name for name, part in parts.items() if part.rule is INPUT_RULE}
    if len(named) > limits.max_inputs or sorted(named) != sorted(layers):
        raise Refusal(f"its input_layers are not its InputLayers, each once and at most {limits.max_inputs}")
    return Graph(parts, calls, processing_order(calls, frozenset(layers)), inputs, outputs)


def _ends(value: Any, parts: Parts, calls: Calls, option: str) -> Any:
    """References to inputs or outputs, in the structure that the model's user sees."""
    if type(value) is list and len(value) == 3 and type(value[0]) is str:
        return _end(value, parts, calls, option)
    if type(value) is list and value:
        return [_ends(each, parts, calls, option) for each in value]
    if type(value) is dict and value:
        return {printable_name(key): _ends(each, parts, calls, option) for key, each in value.items()}
    raise refused(value, "[layer, node, tensor], or lists and dicts of these").under(option)


def _end(value: list[Any], parts: Parts, calls: Calls, option: str) -> Reference:
    name, node, tensor = value
    if name not in parts:
        raise refused(name, "the name of a layer of this model").under(option)
    # Keras counts the calls of a Functional model from 1 here, and from 0 everywhere else.
    first = 1 if parts[name].kind == "Functional" else 0
    last = first + max(len(calls[name]), 1) - 1
    if type(node) is not int or not first <= node <= last:
        raise refused(node, f"a call of {name!r}, from {first} to {last}").under(option)
    if type(tensor) is not int or not 0 <= tensor < (1 if parts[name].rule is INPUT_RULE else 4096):
        raise refused(tensor, f"an output of {name!r}").under(option)
    return Reference(name, node - first, tensor)
