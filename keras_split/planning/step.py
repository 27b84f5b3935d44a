"""What a step computes and sends, in its order: the one place that knows how the parties take turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from keras_split.partition import Partition
from keras_split.planning.exchange import Exchange

# A product of two matrices has two products of the same size behind it in a backward pass: the gradient
# of its weights, and that of its input. Products, convolutions among them, are nearly all operations.
BACKWARD_PER_FORWARD = 2


@dataclass(frozen=True)
class Work:
    """One side computes, and the other waits.

    Args:
        name: Part of the step that its time belongs to.
        side: Who computes.
        flops: Floating-point operations, of the whole batch.
    """

    name: str
    side: Literal["client", "server"]
    flops: int


@dataclass(frozen=True)
class Message:
    """Tensors travel.

    Args:
        name: Part of the step that its time belongs to.
        direction: `"up"` to the server, `"down"` to the client.
        bytes_by_role: The tensors' own, without frames.
    """

    name: str
    direction: Literal["up", "down"]
    bytes_by_role: dict[str, int]


Stage = Work | Message


@dataclass(frozen=True)
class Forward:
    """Floating-point operations of one forward pass of each part, for the whole batch.

    Args:
        head: In front of the cut.
        body: Behind it.
        tail: Behind the second cut; 0 where there is none.
    """

    head: int
    body: int
    tail: int


def stages(parts: Partition, exchanges: Sequence[Exchange], forward: Forward) -> list[Stage]:
    """A step in its order.

    Args:
        parts: A cut model.
        exchanges: Bytes of its tensors: one exchange where labels are shared, else two.
        forward: Operations of its parts.
    """
    back = BACKWARD_PER_FORWARD * forward.head if parts.head.model.trainable_variables else 0
    work = _label_sharing(exchanges[0], forward) if parts.tail is None else _label_free(exchanges, forward)
    return [
        Work("client forward", "client", forward.head),
        *work,
        Work("client backward", "client", back),
    ]


def _label_sharing(exchange: Exchange, forward: Forward) -> list[Stage]:
    """The labels go up with the smashed data (paper, Algorithm 1)."""
    return [
        Message("upload", "up", exchange.up),
        Work("server", "server", (1 + BACKWARD_PER_FORWARD) * forward.body),
        Message("download", "down", exchange.down),
    ]


def _label_free(exchanges: Sequence[Exchange], forward: Forward) -> list[Stage]:
    """The body's outputs come down, and their gradients go up (paper, section 3.6)."""
    first, second = exchanges
    return [
        Message("upload", "up", first.up),
        Work("server", "server", forward.body),
        Message("download", "down", first.down),
        # The body's gradients begin at the tail's inputs, so that it goes backward even if it is frozen.
        Work("client tail", "client", (1 + BACKWARD_PER_FORWARD) * forward.tail),
        Message("upload", "up", second.up),
        Work("server", "server", BACKWARD_PER_FORWARD * forward.body),
        Message("download", "down", second.down),
    ]
