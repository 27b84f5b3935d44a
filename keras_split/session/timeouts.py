"""How long a client waits for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Deadlines of a client; no call is without one.

    Args:
        join_seconds: Connecting and saying hello.
        prepare_seconds: The server's compilation of a new kind or shape of exchange.
        step_seconds: One training step or inference, there and back.
        state_seconds: Snapshots, restoring, and placing a body on a private server.
        reconnect_seconds: Trying again after the connection broke.
    """

    join_seconds: float = 60.0
    prepare_seconds: float = 600.0
    step_seconds: float = 120.0
    state_seconds: float = 300.0
    reconnect_seconds: float = 5.0
