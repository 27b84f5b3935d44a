"""A step that has been sent and not been answered yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.segment import Output
from keras_split.session.conversation import Conversation
from keras_split.session.prepared import Prepared


@dataclass(frozen=True)
class Request:
    """One of the requests of a step.

    Args:
        header: With its content.
        tensors: The request's.
        reply: Content of the reply's header.
        wanted: The reply's tensors.
    """

    header: pb.Header
    tensors: Sequence[np.ndarray]
    reply: str
    wanted: Sequence[Output]


@dataclass
class OpenStep:
    """What it takes to say all of a step again, over another connection if need be.

    Args:
        prepared: A `"train"` exchange.
        header: The step's, with a number of its own by which the server knows it again.
        asked_in: The conversation in which the server waits for this step's next request.
        requests: What has been said so far.
    """

    prepared: Prepared
    header: pb.Step
    asked_in: Conversation | None = None
    requests: list[Request] = field(default_factory=list)
