"""Ceilings on what a peer may make this side read."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """How much of a message this side is willing to hold.

    Args:
        max_message_bytes: All tensors of one message together.
        max_frame_bytes: One frame, header included; also gRPC's own limit.
        max_tensors: Tensors in one message.
        max_rank: Dimensions of a tensor.
        max_dimension: Size of one dimension; none may be zero.
    """

    max_message_bytes: int = 1024 * MIB
    max_frame_bytes: int = 4 * MIB
    max_tensors: int = 4096
    max_rank: int = 8
    max_dimension: int = 1 << 24
