"""Who a data owner is, whom it shares its state with, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from keras_split.crypto import Identity, Pinned, Roster, check_own, read_rosters
from keras_split.errors import RosterRefused


@dataclass(frozen=True)
class Places:
    """Where the envelopes go, and what this member keeps for itself.

    Args:
        handover: `"server"`, `"store://host:port"`, `"peer"`, or a URL of fsspec, such as
            `"file:///share"` or `"s3://bucket/prefix"`.
        folder: Of this member alone: what it has seen of the run's history, and with `"peer"` its envelopes.
            By default beside its keys.
        fallback: With `"peer"`: another way that is used when a peer is gone; empty for none.
        listen: With `"peer"`: `host:port` of this member's own port; port 0 picks one.
        advertised: With `"peer"`: where others reach it, if that is not `listen`.
        full_every: When so many of the run's envelopes have come since the last full state, this member's
            next one is a full state again; until then they are deltas. 1 is for full states alone.

    Raises:
        ValueError: `full_every` is not a whole number above 0.
    """

    handover: str = "server"
    folder: str | Path = ""
    fallback: str = ""
    listen: str = "127.0.0.1:0"
    advertised: str = ""
    full_every: int = 16

    def __post_init__(self) -> None:
        if not isinstance(self.full_every, int) or self.full_every < 1:
            raise ValueError(
                "`full_every` is a whole number of envelopes above 0. "
                f"Received: full_every={self.full_every!r}."
            )

    def beside(self, file: Path, name: str) -> Places:
        """With a folder beside a file."""
        return replace(self, folder=file.resolve().parent / f"{name}.run")


class Membership:
    """A member of a run.

    Args:
        identity: Its private keys.
        roster: Text of the signed roster file, which came by a way that this member trusts.
        places: Where things go.

    Raises:
        RosterRefused: The roster is not validly signed.
        NotAMember: These keys are not in its newest epoch.
    """

    def __init__(self, identity: Identity, roster: str, places: Places):
        self.identity = identity
        self.places = places
        self.rosters: list[Roster] = read_rosters(roster)
        self._own = roster
        check_own(identity, self.roster)
        self.pinned = Pinned(Path(places.folder) / "pins", self.roster.run)

    @property
    def roster(self) -> Roster:
        """The newest epoch."""
        return self.rosters[-1]

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.roster.run

    def learn(self, text: str) -> None:
        """Takes over epochs that owners have signed since; the server only passes them on.

        Raises:
            RosterRefused: Not signed by the owners of this run, or not going on from what is known.
            NotAMember: These keys are not in the newest epoch any more.
        """
        if text == self._own:
            return
        if len(read_rosters(text)) < len(self.rosters):
            raise RosterRefused(
                f"The server has epoch {len(read_rosters(text))} of the roster, and this member epoch "
                f"{self.roster.epoch}. Start the server with the newest roster file."
            )
        rosters = read_rosters(text, previous=self.roster)
        check_own(self.identity, rosters[-1])
        self.rosters, self._own = rosters, text

    def at(self, epoch: int) -> Roster:
        """The roster of an epoch."""
        return next(roster for roster in self.rosters if roster.epoch == epoch)

    def names(self) -> Sequence[str]:
        """The members, in the order of the roster."""
        return [member.name for member in self.roster.members]
