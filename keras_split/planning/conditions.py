"""What a step's time depends on besides the model."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Conditions:
    """A line, two machines and a batch.

    Args:
        bandwidth_mbps: Of the line, in each direction, in 10^6 bits per second.
        rtt_ms: Time from a question to its answer, both empty, in milliseconds.
        client_gflops: What the client's machine reaches, in 10^9 floating-point operations per second.
        server_gflops: Likewise the server's.
        batch_size: Samples in a step.

    Raises:
        ValueError: A number that no line and no machine has.
    """

    bandwidth_mbps: float
    rtt_ms: float
    client_gflops: float
    server_gflops: float
    batch_size: int = 32

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            lowest_is_allowed = name == "rtt_ms"
            if not (math.isfinite(value) and (value > 0 or (lowest_is_allowed and value == 0))):
                expected = "0 or more" if lowest_is_allowed else "more than 0"
                raise ValueError(f"`{name}` must be finite and {expected}. Received: {name}={value!r}.")
        if self.batch_size != int(self.batch_size):
            raise ValueError(f"A batch has whole samples. Received: batch_size={self.batch_size!r}.")

    def __str__(self) -> str:
        return (
            f"batches of {self.batch_size:,}, {self.bandwidth_mbps:,g} Mbit/s, "
            f"{self.rtt_ms:,g} ms round trip, client {self.client_gflops:,g} GFLOP/s, "
            f"server {self.server_gflops:,g} GFLOP/s"
        )
