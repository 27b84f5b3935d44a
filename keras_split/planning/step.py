"""What a step computes and sends, in its order: the one place that knows how the parties take turns."""

from __future__ import annotations

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


def label_sharing(parts: Partition, exchange: Exchange, head_flops: int, body_flops: int) -> list[Stage]:
    """A step in which the labels go up with the smashed data (paper, Algorithm 1).

    Args:
        parts: A cut model.
        exchange: Bytes of its tensors.
        head_flops: Of the head's forward pass, for the whole batch.
        body_flops: Of the body's.
    """
    trains_head = bool(parts.head.model.trainable_variables)
    return [
        Work("client forward", "client", head_flops),
        Message("upload", "up", exchange.up),
        Work("server", "server", (1 + BACKWARD_PER_FORWARD) * body_flops),
        Message("download", "down", exchange.down),
        Work("client backward", "client", BACKWARD_PER_FORWARD * head_flops if trains_head else 0),
    ]
