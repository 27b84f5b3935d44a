"""What all ways of handing over have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from keras_split.errors import ProtocolError


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

    def get(self, name: str, size: int, hint: Hint | None = None) -> bytes:
        """Fetches a blob, and checks that its bytes are those that the name stands for.

        Args:
            name: Of the blob.
            size: Of the blob, as its sender has signed it; whoever offers it has this side read no more.
            hint: Where it may be.

        Raises:
            BlobMissing: It is not there.
            ProtocolError: Other bytes came than those of `name`, or more.
            SplitError: It cannot be reached, or not now.
        """

    def close(self) -> None:
        """Ends connections; blobs stay."""


def joined(pieces: Iterable[bytes], ceiling: int, source: str) -> bytes:
    """A blob that somebody sends, never much more of it than the ceiling.

    Raises:
        ProtocolError: It is above the ceiling.
    """
    content = bytearray()
    for piece in pieces:
        content += piece
        check_size(len(content), ceiling, source)
    return bytes(content)


def check_size(size: int, ceiling: int, source: str) -> None:
    """Raises `ProtocolError` for more bytes than the ceiling."""
    if size > ceiling:
        raise ProtocolError(
            f"{source} sends more than the {ceiling:,} bytes that the blob's sender has signed, or that this "
            "side takes of any. They were thrown away."
        )
