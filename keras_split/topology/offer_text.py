"""The table of what a client is about to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_split.topology.offer import Offer
    from keras_split.topology.topology import LayerSummary, Sizes

_MOST_ROWS = 60
_WIDEST = 44


def offer_text(offer: Offer) -> str:
    """Some lines of text, as wide as they must be; nothing in it is longer than a line."""
    layers = [each for each in offer.layers if each.kind != "InputLayer"]
    rows = [("Layer", "Class and options", "Output", "Parameters"), *map(_row, layers[:_MOST_ROWS])]
    lines = [f"The server offers {offer.name!r}. This process is about to run:", "", *_table(rows)]
    if len(layers) > _MOST_ROWS:
        lines.append(f"  and {len(layers) - _MOST_ROWS:,} layers more")
    return "\n".join([*lines, "", *_facts(offer)])


def _row(layer: LayerSummary) -> tuple[str, str, str, str]:
    what = layer.kind + (f"({layer.options})" if layer.options else "")
    what += "" if layer.trainable or not layer.parameters else ", frozen"
    what += ", your own class" if layer.is_custom else ""
    parameters = f"{layer.parameters:,}" if layer.parameters else ""
    return layer.path, what, " ".join(map(_shape, layer.shapes[:3])), parameters


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    cut = [[_shortened(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in cut) for at in range(4)]
    return [
        "  " + "  ".join([*(row[at].ljust(widths[at]) for at in range(3)), row[3].rjust(widths[3])]).rstrip()
        for row in cut
    ]


def _shortened(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 3]}..."


def _facts(offer: Offer) -> list[str]:
    size = offer.bytes_per_sample
    sent = ", ".join(f"{_shape(each.shape)} {each.dtype}" for each in offer.frontier[:8])
    sent += f" and {len(offer.frontier) - 8} more" if len(offer.frontier) > 8 else ""
    labels = "sent to the server in training" if offer.shares_labels else "stay in this process"
    settings = f"{offer.optimizer}, loss {offer.loss or 'none'}" if offer.optimizer else "yours"
    facts = [
        ("Parameters", f"{offer.parameters:,}, which stay here; drawn from a secret of this process"),
        ("Sent", f"{sent}: " + (f"{size:,} bytes a sample" if size is not None else "of open size")),
        ("Labels", labels),
        ("Optimizer", _shortened(settings)),
        ("Digest", offer.digest),
    ]
    if offer.exposed_masks:
        facts.insert(2, ("Shown", f"where {', '.join(map(repr, offer.exposed_masks[:8]))} is padded"))
    return [f"  {name:<11}{value}" for name, value in facts]


def _shape(shape: Sizes) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in shape)})"
