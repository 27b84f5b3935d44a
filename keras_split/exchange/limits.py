"""How much, and how long."""

from __future__ import annotations

from dataclasses import dataclass

from keras_split.codec.limits import MIB
from keras_split.store.service import MAX_CALL_SECONDS

# For a folder without an administrator who could set one: its disk is the ceiling.
NO_CEILING = 1 << 62


@dataclass(frozen=True)
class HandoverLimits:
    """Ceilings and deadlines of a handover.

    Args:
        max_blob_bytes: What is read of one blob; one that is larger is refused before it is in memory.
        call_seconds: One attempt to put or get, all bytes included.
        retry_seconds: How long a store that cannot be reached is tried again; puts and gets may be repeated.
        peer_retry_seconds: The same for another data owner, who may well be gone for good.
    """

    max_blob_bytes: int = 1024 * MIB
    call_seconds: float = 600.0
    retry_seconds: float = 60.0
    peer_retry_seconds: float = 3.0

    def ceiling(self, size: int) -> int:
        """What is read of a blob of which somebody has signed that it has this size."""
        return min(size, self.max_blob_bytes)

    def __post_init__(self) -> None:
        if not 0 < self.call_seconds <= MAX_CALL_SECONDS:
            raise ValueError(
                f"A call of a store takes at most {MAX_CALL_SECONDS:.0f} seconds. "
                f"Received: call_seconds={self.call_seconds!r}."
            )
