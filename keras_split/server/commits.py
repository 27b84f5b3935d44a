"""The commits of a run on the server's disk: a link, and the snapshot that names it.

The one point at which a commit happens is the rename of the snapshot. Whatever dies before leaves the state,
the turns and the links of the last one; whatever dies after leaves this one's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras_split.crypto import Link
from keras_split.durable import is_full
from keras_split.errors import EnvelopeRefused, Refused, StoreFull
from keras_split.server.links import Links
from keras_split.state import Bundle, CorruptState, Shelf
from keras_split.turns import Record

_RESTORE = "Restore the run's folder in `--checkpoint-dir`, as a whole, from its newest backup"


class Committed(NamedTuple):
    """What is on the disk.

    Args:
        record: Where the run is.
        state: The body's.
        metadata: Of the snapshot.
    """

    record: Record
    state: Bundle
    metadata: dict[str, Any]


class Commits:
    """Writes commits, and reads the last one.

    Args:
        topology: Digest of the topology that is served.
        links: Where signed headers are kept.
        shelf: Where states are kept.
    """

    def __init__(self, topology: str, links: Links, shelf: Shelf):
        self._topology = topology
        self._links = links
        self._shelf = shelf

    def keep(
        self, record: Record, link: Link | None, state: Bundle, version: int, addresses: dict[str, str]
    ) -> None:
        """Makes a commit last.

        Args:
            record: Where the run is with it.
            link: Of the envelope; None before the first.
            state: The body's.
            version: Updates that the body has seen.
            addresses: Where members offer envelopes, by name.

        Raises:
            StoreFull: No room on the disk.
            OSError: It may last or not; `newest` tells.
        """
        metadata = {
            "topology": self._topology,
            "run": record.to_json(),
            "head": "" if link is None else link.digest,
            "addresses": addresses,
        }
        try:
            if link is not None:
                self._links.put(link)
            # A clock may be set back between two commits, and numbers never are.
            self._shelf.put(state, version, metadata, nonce=record.number + 1)
        except OSError as error:
            if not is_full(error):
                raise
            raise StoreFull(
                "The disk of the compute server is full: this commit may not last, and those before it "
                "stay. Make room there; members that wait go on by themselves."
            ) from None

    def newest(self) -> Committed | None:
        """The last commit; None in a run that has none.

        Raises:
            Refused: What is on the disk is damaged, or not all of it is there.
        """
        try:
            found = self._shelf.latest()
        except CorruptState:
            raise Refused(f"None of the commits on the server's disk can be read. {_RESTORE}.") from None
        if found is None:
            self._check_new()
            return None
        _, state, metadata = found
        record = Record.from_json(metadata["run"])
        self._check_link(record, metadata["head"])
        return Committed(record, state, metadata)

    def _check_new(self) -> None:
        if self._links.has_any():
            raise Refused(
                "The server's disk has links of earlier commits, in `links`, and no commit in `commits`: to "
                f"begin anew would lose what was trained. {_RESTORE}; for a new run, make a new roster "
                "(`keras-split roster create`)."
            )

    def _check_link(self, record: Record, head: str) -> None:
        try:
            digest = self._links.get(record.number).digest if record.number >= 0 else ""
        except (FileNotFoundError, EnvelopeRefused):
            digest = None
        if digest != head:
            raise Refused(
                f"The newest commit on the server's disk and its link do not belong together. {_RESTORE}."
            )
