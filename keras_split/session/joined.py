"""What a client learns when it joins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Joined:
    """What the server told at the join.

    Args:
        topology: The client's part and the frontier; to be validated before it is built.
        digest: Of the topology.
        settings: Keras-serialised compile settings, or None.
        accepts_settings: Whether the client may send its own.
        body: Layers and parameters of the body, for display.
        version: Updates that the server has applied.
    """

    topology: dict[str, Any]
    digest: str
    settings: dict[str, Any] | None
    accepts_settings: bool
    body: dict[str, Any]
    version: int
