"""A checked topology as plain objects: parts, and the graph of calls between them."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from keras_split.errors import TopologyError
from keras_split.topology.calls import Call
from keras_split.topology.checks import Options, Refusal
from keras_split.topology.rules import Rule

Arguments = dict[str, Any]
# Refusals name what is allowed, which is long for layers; what a peer sends must not make them longer.
_LONGEST = 5800


@dataclass(frozen=True, eq=False)
class Part:
    """A layer, an operation or a model, identified by the object itself: shared means the same.

    Args:
        path: Names from the outermost model down, joined by `/`.
        kind: Class name.
        rule: What its class may do.
        options: Its checked options.
        trainable: It and everything around it is trainable.
        serialised: The normalised object, as Keras writes it.
        inner: Layers of a wrapper.
        graph: Layers of a model.
        is_custom: One of the client's own classes.
        is_operation: No layer but an operation of Keras.
    """

    path: str
    kind: str
    rule: Rule
    options: Options
    trainable: bool
    serialised: dict[str, Any]
    inner: tuple[Part, ...] = ()
    graph: Graph | None = None
    is_custom: bool = False
    is_operation: bool = False

    def refuse(self, refusal: Refusal) -> TopologyError:
        """The error that names this part."""
        return refuse(self.path, self.kind, refusal)

    def all(self) -> Iterator[Part]:
        """This part and all inside it, as they are written."""
        yield self
        for part in (*self.inner, *(self.graph.parts.values() if self.graph else ())):
            yield from part.all()


@dataclass(frozen=True, eq=False)
class Graph:
    """Calls between the parts of one model.

    Args:
        parts: By name, in the config's order.
        calls: Calls of each part.
        order: Part and number of each call, in the order in which Keras makes them.
        inputs: Structure of references to input layers.
        outputs: Structure of references.
        is_chain: A Sequential model: every part has exactly one output.
    """

    parts: dict[str, Part]
    calls: dict[str, tuple[Call, ...]]
    order: tuple[tuple[str, int], ...]
    inputs: Any
    outputs: Any
    is_chain: bool = False
    declared: dict[tuple[str, int], dict[int, tuple[int | None, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for calls in self.calls.values():
            for call in calls:
                for each in call.references():
                    key = (each.layer, each.node)
                    self.declared.setdefault(key, {})[each.tensor] = each.shape


def refuse(path: str, kind: str, refusal: Refusal) -> TopologyError:
    """The error that names a part which could not be read."""
    shown = reprlib.repr(kind)
    return TopologyError(f"Layer {path!r} of class {shown}: {str(refusal)[:_LONGEST]}.")
