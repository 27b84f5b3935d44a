"""A step that has been sent and not been answered yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.session.conversation import Conversation
from keras_split.session.prepared import Prepared


@dataclass
class OpenStep:
    """What it takes to send a step again, over another connection if need be.

    Args:
        prepared: A `"train"` exchange.
        header: The request, with a number of its own by which the server knows it again.
        tensors: The request's.
        asked_in: The conversation in which the server waits for this step's gradients.
    """

    prepared: Prepared
    header: pb.Step
    tensors: Sequence[np.ndarray]
    asked_in: Conversation | None = None
