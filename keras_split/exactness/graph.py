"""A function's graph as it will run, with what is read off it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from tensorflow.python.framework import function_def_to_graph

from keras_split.segment import EXCHANGE, PROBE, optimized

_EXCHANGE = re.compile(rf"(?:.*/)?{EXCHANGE}(?:_(\d+))?")
_WRITES = ("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp")
# What returns its first input in the same memory.
_SAME_MEMORY = {
    *("Identity", "EnsureShape", "StopGradient", "PreventGradient"),
    *("Reshape", "ExpandDims", "Squeeze"),
}
# On the way from a variable to what writes to it.
_SAME_HANDLE = {"Identity", "Switch", "Enter"}
# Whose memory is somebody else's as well.
_NOT_ITS_OWN = {"Const", "ReadVariableOp", "Placeholder", "_Arg", "PyFunc", "EagerPyFunc", "PyFuncStateless"}


class Ref(NamedTuple):
    """A tensor: an operation's name, and which of its outputs."""

    name: str
    place: int = 0


class Graph:
    """Operations by name.

    Args:
        graph_def: Of TensorFlow.
        results: What it returns.
    """

    def __init__(self, graph_def: Any, results: list[Ref]):
        self.nodes = {node.name: node for node in graph_def.node}
        self.functions = {each.signature.name: each for each in graph_def.library.function}
        self.results = results
        self._inputs = {name: [*_refs(node)] for name, node in self.nodes.items()}

    @classmethod
    def of(cls, graph: Any) -> Graph:
        """A function's graph after TensorFlow's optimizer."""
        lasting = [each.name for each in graph.get_operations() if _stays(each)]
        found = optimized(graph, graph.outputs, lasting).graph_def
        made = {node.name: node for node in found.node}
        probes = [made[PROBE.format(at)] for at in range(len(graph.outputs))]
        # Of a constant result it has become the constant itself.
        return cls(found, [next(_refs(probe), Ref(probe.name)) for probe in probes])

    def function(self, name: str) -> tuple[Graph, list[str]]:
        """One of the functions that operations call, and the names of its arguments."""
        found = self.functions[name]
        graph_def, names = function_def_to_graph.function_def_to_graph_def(found)
        results = [_ref(names[found.ret[each.name]]) for each in found.signature.output_arg]
        graph = Graph(graph_def, results)
        graph.functions = self.functions
        return graph, [each.name for each in found.signature.input_arg]

    def inputs(self, name: str) -> list[Ref]:
        """What an operation reads."""
        return self._inputs[name]

    def exchanges(self) -> list[str]:
        """The operations that ask the other party, in the order in which they were traced."""
        found = [(_EXCHANGE.fullmatch(name), name) for name in self.nodes]
        return [name for _, name in sorted((int(match[1] or 0), name) for match, name in found if match)]

    def writes(self) -> Iterator[tuple[str, str]]:
        """What changes a variable: the operation, and the one that the variable comes into the graph by."""
        for name, node in self.nodes.items():
            if _is_write(node.op):
                source = self._inputs[name][0].name
                while self.nodes[source].op in _SAME_HANDLE:
                    source = self._inputs[source][0].name
                yield name, source

    def first_addend(self, name: str) -> int:
        """Which input a sum of several begins with: the first in whose memory it may be built."""
        for place, each in enumerate(self._inputs[name]):
            root = self._root(each)
            if self.nodes[root.name].op not in _NOT_ITS_OWN and not self._is_read_besides(root, name):
                return place
        return 0

    def _is_read_besides(self, root: Ref, name: str) -> bool:
        """Whether, when an operation runs, somebody else may still have to read what it reads."""
        readers = self._readers.get(root, Counter())
        before = self._before(name) if len(readers) > 1 else set()
        return readers[name] > 1 or any(each not in before for each in readers if each != name)

    def _before(self, name: str) -> set[str]:
        """All that an operation waits for."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for each in self._inputs[waiting.pop()]:
                if each.name not in found:
                    found.add(each.name)
                    waiting.append(each.name)
        return found

    def _root(self, tensor: Ref) -> Ref:
        while self.nodes[tensor.name].op in _SAME_MEMORY:
            tensor = self._inputs[tensor.name][0]
        return tensor

    @cached_property
    def _readers(self) -> dict[Ref, Counter[str]]:
        """Who reads the memory of a tensor, and how often."""
        found: dict[Ref, Counter[str]] = {}
        for name, node in self.nodes.items():
            if node.op not in _SAME_MEMORY:
                for each in self._inputs[name]:
                    found.setdefault(self._root(each), Counter())[name] += 1
        return found


def _stays(operation: Any) -> bool:
    """Whether an operation does something besides what it returns."""
    kind = operation.type
    return operation.op_def.is_stateful and kind not in ("ReadVariableOp", "Placeholder")


def _is_write(kind: str) -> bool:
    return kind in _WRITES or kind.startswith(("ResourceApply", "ResourceScatter", "ResourceSparseApply"))


def _refs(node: Any) -> Iterator[Ref]:
    return (_ref(each) for each in node.input if not each.startswith("^"))


def _ref(text: str) -> Ref:
    name, _, place = text.partition(":")
    return Ref(name, int(place or 0))
