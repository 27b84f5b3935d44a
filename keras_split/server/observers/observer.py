"""What an observer of a server is told.

Kinds of events, and their facts:

| kind | facts |
| --- | --- |
| `serving` | model, cut, topology, settings, update, commits, run, roster_epoch |
| `joined` | topology, update |
| `prepared` | mode, signature, receives, sends: roles, dtypes and shapes |
| `turn_waits` | ahead |
| `turn_granted` | turn, commits |
| `turn_left` | |
| `turn_began`, `turn_resumed` | turn, update |
| `trained` | turn, first_update, update, steps, rows, bytes_received, bytes_sent, signatures |
| `committed` | turn, number, update, link, blob, ends |
| `rolled_back` | turn, from_update, update |
| `snapshot`, `restored` | update |
| `turn_ended` | turn, update |
| `inferred` | requests, rows, bytes_received, bytes_sent |
| `envelope_put`, `envelope_got` | blob, bytes |
| `refused` | call, error: the name of its class |

Nothing here holds contents: no tensor, label, key or sealed byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Event:
    """Something that happens once in a while.

    Args:
        kind: What.
        party: Who does it; empty for the server itself.
        facts: JSON-ready.
        lasts: Whether the server has just made its own state durable.
    """

    kind: str
    party: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    lasts: bool = False


class StepSeen(NamedTuple):
    """One step, after its reply has been given and the update applied.

    Args:
        party: Whose.
        update: Updates of the body with this one.
        seconds: From its start to the end of the update.
        losses: Scalar tensors whose sum is the server's share of the loss, as the graph has computed them
            anyway; empty where the server knows no loss.
    """

    party: str
    update: int
    seconds: float
    losses: Sequence[Any]


class Observer:
    """Is told what happens; by default looks at nothing. Called from several threads."""

    def see(self, event: Event) -> None:
        """An event. May take its time, but not a step's."""

    def step(self, seen: StepSeen) -> None:
        """A step: on the thread that trains, so that it must take microseconds."""

    def inference(self, party: str) -> None:
        """An inference was answered: on the thread of its call."""

    def close(self) -> None:
        """Nothing more will happen."""
