"""One cut with its predicted step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_split.planning.conditions import Conditions
from keras_split.planning.step import Message, Stage, Work


@dataclass(frozen=True)
class PlannedCut:
    """A cut, and where the time of a step would go.

    Args:
        cut: What to pass as `cut=`.
        parts: Seconds by part, in the order of the step: `"client forward"`, `"upload"`, `"server"`,
            `"download"`, `"client tail"` with a second cut, `"client backward"` and `"round trip"`.
        up: Bytes of the tensors that a step sends to the server, by role.
        down: Bytes of those that come back, by role.
        client_flops: Floating-point operations of the client in a step.
        server_flops: Likewise of the server.
    """

    cut: tuple[str, ...]
    parts: dict[str, float]
    up: dict[str, int]
    down: dict[str, int]
    client_flops: int
    server_flops: int

    @property
    def name(self) -> str:
        """For tables."""
        return " + ".join(self.cut)

    @property
    def seconds(self) -> float:
        """Of a step."""
        return sum(self.parts.values())

    @property
    def shares(self) -> dict[str, float]:
        """Each part's share of the step, together 1."""
        return {name: each / self.seconds if self.seconds else 0.0 for name, each in self.parts.items()}

    @property
    def bytes_up(self) -> int:
        """Of all tensors that a step sends to the server."""
        return sum(self.up.values())

    @property
    def bytes_down(self) -> int:
        """Of all tensors that come back."""
        return sum(self.down.values())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "cut": list(self.cut),
            "seconds": self.seconds,
            "parts": self.parts,
            "shares": self.shares,
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
            "up": self.up,
            "down": self.down,
            "client_flops": self.client_flops,
            "server_flops": self.server_flops,
        }


def planned(cut: tuple[str, ...], stages: Sequence[Stage], conditions: Conditions) -> PlannedCut:
    """Adds up what the stages of a step take, one after the other."""
    return PlannedCut(
        cut,
        _parts(stages, conditions),
        _bytes(stages, "up"),
        _bytes(stages, "down"),
        _flops(stages, "client"),
        _flops(stages, "server"),
    )


def _parts(stages: Sequence[Stage], conditions: Conditions) -> dict[str, float]:
    parts: dict[str, float] = {}
    for stage in stages:
        parts[stage.name] = parts.get(stage.name, 0.0) + _seconds(stage, conditions)
    # Each message that comes back ends a round trip.
    answers = sum(isinstance(stage, Message) and stage.direction == "down" for stage in stages)
    return {**parts, "round trip": answers * conditions.rtt_ms / 1e3}


def _seconds(stage: Stage, conditions: Conditions) -> float:
    if isinstance(stage, Message):
        return 8 * sum(stage.bytes_by_role.values()) / (1e6 * conditions.bandwidth_mbps)
    gflops = conditions.client_gflops if stage.side == "client" else conditions.server_gflops
    return stage.flops / (1e9 * gflops)


def _bytes(stages: Sequence[Stage], direction: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for stage in stages:
        if isinstance(stage, Message) and stage.direction == direction:
            for role, count in stage.bytes_by_role.items():
                found[role] = found.get(role, 0) + count
    return found


def _flops(stages: Sequence[Stage], side: str) -> int:
    return sum(stage.flops for stage in stages if isinstance(stage, Work) and stage.side == side)
