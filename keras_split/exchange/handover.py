"""What all ways of handing over have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Hint:
    """Who has the newest blob, and where.

    Args:
        holder: Name of the data owner who made it.
        address: `host:port` where that data owner offers its blobs; empty if it offers none.
    """

    holder: str
    address: str


class Handover(Protocol):
    """A place for sealed blobs, which are opaque to it.

    A blob's name is the SHA-256 of its bytes in hex. Both methods may be repeated. One thread at a
    time uses a handover.
    """

    @property
    def address(self) -> str:
        """`host:port` where others get this data owner's blobs; empty if they get them elsewhere."""

    def put(self, name: str, blob: bytes) -> None:
        """Keeps a blob; it is durable when this returns.

        Raises:
            SplitError: It is not kept: `StoreFull`, `ConnectionLost`, `Refused` and others.
        """

    def get(self, name: str, hint: Hint | None = None) -> bytes:
        """Fetches a blob, and checks that its bytes are those that the name stands for.

        Raises:
            BlobMissing: It is not there.
            ProtocolError: Other bytes came than those of `name`.
            SplitError: It cannot be reached, or not now.
        """

    def close(self) -> None:
        """Ends connections; blobs stay."""
