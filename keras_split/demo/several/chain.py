"""What the signed links of a run say: turns, steps and bytes, whoever tells otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_split.crypto import Link


@dataclass(frozen=True)
class Handed:
    """What a data owner has handed over.

    Args:
        turns: How many it has had.
        steps: The server's updates in them.
        full: Sizes of its envelopes with full states, in bytes.
        delta: Those with deltas.
    """

    turns: int
    steps: int
    full: Sequence[int]
    delta: Sequence[int]


def read_chain(folder: Path) -> list[Link]:
    """All links of a run, oldest first."""
    return [Link.read(path.read_bytes()) for path in sorted((folder / "links").glob("*.link"))]


def handed(links: Sequence[Link], member: str) -> Handed:
    """A member's part."""
    own = [link for link in links if link.header.sender == member]
    pairs = zip(links, links[1:], strict=False)
    steps = [
        link.header.version - before.header.version for before, link in pairs if link.header.sender == member
    ]
    sizes = {kind: [link.size for link in own if link.header.kind == kind] for kind in ("full", "delta")}
    return Handed(len({link.header.turn for link in own}), sum(steps), sizes["full"], sizes["delta"])
