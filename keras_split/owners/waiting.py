"""What a server says about the turn that this member waits for."""

from __future__ import annotations

from collections.abc import Sequence

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.turns import Waiting


def read_waiting(wire: pb.Waiting, members: Sequence[str]) -> Waiting:
    """From the server's reply, which is shown on terminals: names of members, and no others."""
    return Waiting(
        wire.member if wire.member in members else "",
        wire.trains,
        wire.ahead,
        wire.seconds,
        wire.usual_seconds,
    )
