"""What all members of a run have in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Agreed:
    """What this member has validated, and stands in every envelope.

    Args:
        topology: Digest of the topology.
        settings: Digest of the compile settings.
    """

    topology: str
    settings: str
