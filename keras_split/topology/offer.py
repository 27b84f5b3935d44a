"""What a server offers a client to run, validated and not yet built."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keras_split.errors import TopologyError
from keras_split.topology.document import read_document
from keras_split.topology.limits import TopologyLimits
from keras_split.topology.offer_text import offer_text
from keras_split.topology.settings import validate_settings
from keras_split.topology.topology import LayerSummary, Sizes, Topology, validate

_BYTES = {"float64": 8, "int64": 8, "uint64": 8, "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2}
_BYTES |= {"bool": 1, "int8": 1, "uint8": 1}


@dataclass(frozen=True)
class Sent:
    """A tensor that goes to the server with every batch.

    Args:
        shape: The batch first; None where a size is open.
        dtype: Of its values.
    """

    shape: Sizes
    dtype: str

    @property
    def bytes_per_sample(self) -> int | None:
        """Size of one sample; None where it is open."""
        sizes = self.shape[1:]
        return None if None in sizes else math.prod(s or 0 for s in sizes) * _BYTES.get(self.dtype, 4)


@dataclass(frozen=True)
class Offer:
    """What `SplitModel.connect` is about to run; `str(offer)` is the table that it prints.

    Args:
        name: The model's.
        digest: SHA-256, in hex, of the topology as the server sent it: what `approve=` takes.
        cut: Names of the layers behind which the server's part begins.
        second_cut: Those behind which the client's part begins again; empty where labels are sent.
        layers: Those of the head, then those of the tail.
        parameters: Values of all weights of the client's.
        frontier: What is sent with every batch.
        exposed_masks: Inputs of which the server sees where they are padded.
        optimizer: Class name of the server's; empty if it leaves the settings to the client.
        loss: The server's loss in brief; likewise.
        config: The server's topology.
        head: The validated head.
        tail: The validated tail, or None.
    """

    name: str
    digest: str
    cut: tuple[str, ...]
    second_cut: tuple[str, ...]
    layers: tuple[LayerSummary, ...]
    parameters: int
    frontier: tuple[Sent, ...]
    exposed_masks: tuple[str, ...]
    optimizer: str
    loss: str
    config: dict[str, Any] = field(repr=False, compare=False)
    head: Topology = field(repr=False)
    tail: Topology | None = field(repr=False)

    @property
    def shares_labels(self) -> bool:
        """Whether training sends the labels to the server."""
        return not self.second_cut

    @property
    def bytes_per_sample(self) -> int | None:
        """Bytes of the frontier for one sample; None where a size is open."""
        found = [each.bytes_per_sample for each in self.frontier]
        return None if None in found else sum(each or 0 for each in found)

    def __str__(self) -> str:
        return offer_text(self)


def _validated(
    part: dict[str, Any], custom_layers: Mapping[str, type] | None, limits: TopologyLimits | None = None
) -> Topology:
    given = {"calls": part["calls"], "frozen": part["frozen"]}
    return validate(part["model"], limits=limits, custom_layers=custom_layers, **given)


def read_offer(
    topology: Any,
    digest: str,
    settings: dict[str, Any] | None = None,
    custom_layers: Mapping[str, type] | None = None,
) -> Offer:
    """Validates all that a server sent, and builds nothing.

    Args:
        topology: The server's.
        digest: Of it.
        settings: The server's compile settings, or None.
        custom_layers: As in `validate`.

    Raises:
        TopologyError: Something is refused.
    """
    found = read_document(topology)
    # What the tail reads of the head shows in the gradients that go up, so no raw input may be among it.
    head = _validated(found["head"], custom_layers)
    tail = None
    if found["tail"] is not None:
        # Nothing that comes out of the tail leaves this process.
        limits = replace(TopologyLimits(), mixing="none")
        tail = _validated(found["tail"], custom_layers, limits)
    _check_frontier(found, head)
    checked = validate_settings(settings or {})
    return Offer(
        name=found["name"],
        digest=digest,
        cut=tuple(found["cut"]),
        second_cut=tuple(found["second_cut"]),
        layers=(*head.summaries, *(tail.summaries if tail else ())),
        parameters=head.parameters + (tail.parameters if tail else 0),
        frontier=tuple(Sent(tuple(each["shape"]), each["dtype"]) for each in found["frontier"]),
        exposed_masks=head.exposed_masks,
        optimizer=(checked.get("optimizer") or {}).get("class_name", ""),
        loss=_in_brief(checked.get("loss")),
        config=found,
        head=head,
        tail=tail,
    )


def _check_frontier(found: dict[str, Any], head: Topology) -> None:
    second = found["second_frontier"]
    described = [*found["frontier"], *second[len(second) - found["kept"] :]]
    shapes = [tuple(each["shape"]) for each in described]
    if len(shapes) != len(head.outputs) or not all(map(_agree, shapes, head.outputs)):
        raise TopologyError("The head that the server describes does not produce its frontier.")


def _agree(one: Sizes, other: Sizes) -> bool:
    return len(one) == len(other) and all(
        mine == theirs or None in (mine, theirs) for mine, theirs in zip(one, other, strict=True)
    )


def _in_brief(loss: Any) -> str:
    if isinstance(loss, dict):
        if "class_name" in loss:
            return str(loss["class_name"])
        return ", ".join(f"{name}: {_in_brief(each)}" for name, each in loss.items())
    if isinstance(loss, list):
        return ", ".join(map(_in_brief, loss))
    return loss or ""
