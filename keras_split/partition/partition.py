"""From a model and the names of its cuts to its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_split.partition.between import between
from keras_split.partition.cuts import cut_is_legal, legal_cut_names, resolve
from keras_split.partition.frontier import IllegalCut, Sections
from keras_split.partition.part import Part, ranked_part


@dataclass(frozen=True)
class Partition:
    """A model in two parts, or three (paper, section 3.1: F_a and F_b; section 3.6: wrapped end layers).

    Args:
        cut: Names of the cut's layers.
        second_cut: Those behind which the client's part begins again; empty in label sharing.
        head: The client's part: from the model's inputs to the frontier, and to what the tail reads.
        body: The server's part: from the frontier to the outputs, or to the second frontier.
        tail: The client's end: from the second frontier to the outputs; None in label sharing.
        sections: What runs where, and what crosses.
        output_names: The whole model's, for losses and metrics by name.
        whole: The model itself.
    """

    cut: tuple[str, ...]
    second_cut: tuple[str, ...]
    head: Part
    body: Part
    tail: Part | None
    sections: Sections
    output_names: list[str]
    whole: Any

    def topology(self) -> dict[str, Any]:
        """All that a client needs to build its parts, JSON-ready: no weights, and not the body."""
        return {
            "name": self.whole.name,
            "cut": list(self.cut),
            "second_cut": list(self.second_cut),
            "head": self.head.to_config(),
            "tail": self.tail.to_config() if self.tail else None,
            "frontier": self.sections.describe(self.sections.frontier),
            "second_frontier": self.sections.describe(self.sections.second_frontier),
            "kept": self.sections.kept,
            "output_names": self.output_names,
        }

    @property
    def sides(self) -> dict[str, tuple[Part, ...]]:
        """The parts of each party."""
        return {"client": (self.head, self.tail) if self.tail else (self.head,), "server": (self.body,)}


def partition(
    model: keras.Model, cut: str | Sequence[str], second_cut: str | Sequence[str] | None = None
) -> Partition:
    """Cuts a model behind the named layer or layers.

    The parts share their layers, and so their weights, with `model`.

    Args:
        model: Built functional or Sequential model.
        cut: Name of a layer, path into a nested model (`"encoder/block2"`), or several of them where
            one layer does not separate the inputs from the rest.
        second_cut: Likewise, the last layers of the server's part. What comes behind stays with the
            client. None where the server has all the rest.

    Raises:
        ValueError: No such layer, or a cut that would leak; the text lists the legal cuts.
    """
    names, second = _names(cut), _names(second_cut)
    _check_flags(model)
    try:
        sections, graph = resolve(model, names, second)
    except IllegalCut as error:
        raise ValueError(_explained(model, names, second, error)) from None
    inputs, outputs = sections.frontier.tensors, graph.outputs
    kept: list[Any] = []
    tail = None
    if sections.second_frontier is not None:
        read = sections.second_frontier.tensors
        tail = ranked_part(between(graph, read, graph.outputs, f"{model.name}_tail"), model)
        count = len(read) - sections.kept
        outputs, kept = read[:count], read[count:]
    head = between(graph, graph.inputs, [*inputs, *kept], f"{model.name}_head")
    body = between(graph, inputs, outputs, f"{model.name}_body")
    return Partition(
        cut=names,
        second_cut=second,
        head=ranked_part(head, model),
        body=ranked_part(body, model),
        tail=tail,
        sections=sections,
        output_names=output_names(model),
        whole=model,
    )


def _check_flags(model: keras.Model) -> None:
    """Raises ValueError where Keras trains nothing of a model although some of its weights are not frozen."""
    for layer in [] if model.trainable else model._flatten_layers(include_self=False):
        if any(each.trainable for each in layer.weights):
            raise ValueError(
                f"`trainable` of the model {model.name!r} is False, so that Keras trains none of its layers, "
                f"and that of {layer.name!r} in it is True. Set `model.trainable = True` first, and then "
                f"freeze layers one by one. Received: layer={layer.name!r}."
            )


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _explained(model: keras.Model, cut: tuple[str, ...], second: tuple[str, ...], error: IllegalCut) -> str:
    received = f"cut={_shown(cut)}" + (f", second_cut={_shown(second)}" if second else "")
    places = f"at {_shown(cut)}" + (f" and {_shown(second)}" if second else "")
    advice = f"Legal cuts by a single name: {_shortened(legal_cut_names(model))}."
    if second and cut_is_legal(model, cut):
        legal = _shortened(legal_cut_names(model, cut))
        advice = f"Legal second cuts behind {_shown(cut)}, by a single name: {legal}."
    return f"Cutting {model.name!r} {places} {error}. {advice} Received: {received}."


def _shown(names: tuple[str, ...]) -> str:
    return repr(names[0] if len(names) == 1 else list(names))


def output_names(model: keras.Model) -> list[str]:
    """Of a functional or Sequential model."""
    named = getattr(model, "_functional", None) or model
    return list(named.output_names)


def _shortened(names: Sequence[str], shown: int = 12) -> str:
    listed = ", ".join(map(repr, names[:shown])) or "none"
    more = f", and {len(names) - shown} more (`keras_split.list_cuts`)" if len(names) > shown else ""
    return listed + more
