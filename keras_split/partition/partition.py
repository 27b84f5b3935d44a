"""From a model and the name of a cut to its two parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_split.partition.cuts import legal_cut_names, resolve_cut
from keras_split.partition.frontier import Frontier, IllegalCut, find_frontier
from keras_split.partition.part import Part, ranked_part


@dataclass(frozen=True)
class Partition:
    """A model in two parts (paper, section 3.1: F_a and F_b).

    Args:
        cut: Names of the cut's layers.
        head: The client's part: the model's inputs to the frontier.
        body: The server's part: the frontier to the model's outputs.
        frontier: What crosses.
        output_names: The whole model's, for losses and metrics by name.
        whole: The model itself.
    """

    cut: tuple[str, ...]
    head: Part
    body: Part
    frontier: Frontier
    output_names: list[str]
    whole: Any

    def topology(self) -> dict[str, Any]:
        """All that a client needs to build its part, JSON-ready: no weights, and not the body."""
        return {
            "name": self.whole.name,
            "cut": list(self.cut),
            "head": self.head.to_config(),
            "frontier": [
                {"shape": list(tensor.shape), "dtype": tensor.dtype, "mask": mask}
                for tensor, mask in zip(self.frontier.tensors, self.frontier.masks, strict=True)
            ],
            "output_names": self.output_names,
        }


def partition(model: keras.Model, cut: str | Sequence[str]) -> Partition:
    """Cuts a model behind the named layer or layers.

    The parts share their layers, and so their weights, with `model`.

    Args:
        model: Built functional or Sequential model.
        cut: Name of a layer, path into a nested model (`"encoder/block2"`), or several of them where
            one layer does not separate the inputs from the rest.

    Raises:
        ValueError: No such layer, or a cut that would leak; the text lists the legal cuts.
    """
    names = (cut,) if isinstance(cut, str) else tuple(cut)
    try:
        graph, nodes = resolve_cut(model, names)
        frontier = find_frontier(graph, nodes)
    except IllegalCut as error:
        shown = names[0] if len(names) == 1 else list(names)
        raise ValueError(
            f"Cutting {model.name!r} at {shown!r} {error}. Legal cuts by a single name: "
            f"{_shortened(legal_cut_names(model))}. Received: cut={cut!r}."
        ) from None
    head = keras.Model(graph.inputs, frontier.tensors, name=f"{model.name}_head")
    body = keras.Model(frontier.tensors, graph.outputs, name=f"{model.name}_body")
    return Partition(
        cut=names,
        head=ranked_part(head, model),
        body=ranked_part(body, model),
        frontier=frontier,
        output_names=_output_names(model, graph.outputs),
        whole=model,
    )


def _output_names(model: keras.Model, outputs: Any) -> list[str]:
    named = getattr(model, "_functional", None) or model
    return list(named.output_names)


def _shortened(names: Sequence[str], shown: int = 12) -> str:
    listed = ", ".join(map(repr, names[:shown])) or "none"
    more = f", and {len(names) - shown} more (`keras_split.list_cuts`)" if len(names) > shown else ""
    return listed + more
