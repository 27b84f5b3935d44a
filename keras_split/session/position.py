"""Where the client's half is in the history of updates."""

from __future__ import annotations

from dataclasses import dataclass

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.errors import ProtocolError


@dataclass
class Position:
    """Names a state of the server's half; two histories may have the same number of updates.

    Args:
        version: Updates that this half has seen.
        lineage: The server's name for the history in which it has; 0 before the first turn.
    """

    version: int = 0
    lineage: int = 0

    def begin(self, begun: pb.Begun) -> None:
        """Takes part in the history of a server that is where this half is."""
        if not self.lineage and begun.version == self.version:
            self.lineage = begun.lineage  # A new client of a new server: both at the beginning.

    def go_to(self, version: int, lineage: int = 0) -> None:
        """Both halves are at another state now."""
        self.version, self.lineage = version, lineage

    def advance(self, version: int) -> None:
        """Counts an update.

        Raises:
            ProtocolError: The server has counted another number.
        """
        if version != self.version + 1:
            raise ProtocolError("The server answered a step without counting it.")
        self.version = version
