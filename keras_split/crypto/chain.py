"""Whether links are the one history of a run, as far as one member can know.

The rules, in the order in which a link is checked:

1. its header can be read (`Link.read`);
2. its run is ours, its roster epoch is known, has the digest that the link names, and is not older than
   the epoch of the link before;
3. its sender is a member of that epoch, and signed it;
4. its topology and its settings are those that were validated;
5. it has the next number, names the digest of the link before, and its turn does not go back;
6. what the member has pinned stays part of the history, and its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from keras_split.crypto import canonical
from keras_split.crypto.envelope import check_roster
from keras_split.crypto.epoch import Roster
from keras_split.crypto.link import Link, Trained
from keras_split.errors import (
    ForeignEnvelope,
    ForkDetected,
    MissingLinks,
    ReplayDetected,
    RollbackDetected,
    RosterRefused,
)

_AT_THE_BEGINNING = Trained()


@dataclass(frozen=True)
class Pin:
    """The newest link that a member has accepted: its high-water mark.

    Args:
        number: Number of the link.
        digest: Digest of the link.
        turn: Turn of the link.
        epoch: Roster epoch of the link.
        trained: By the member whose pin this is, up to its last link.

    Raises:
        ValueError: A field that no link can have.
    """

    number: int
    digest: str
    turn: int = 0
    epoch: int = 1
    trained: Trained = Trained()

    def __post_init__(self) -> None:
        canonical.check_count("number", self.number)
        canonical.check_digest("digest", self.digest)
        canonical.check_count("turn", self.turn)
        canonical.check_count("epoch", self.epoch, least=1)

    @classmethod
    def of(cls, link: Link, trained: Trained = _AT_THE_BEGINNING) -> Pin:
        """The pin after accepting a link."""
        header = link.header
        return cls(header.number, link.digest, header.turn, header.roster_epoch, trained)


def verify_chain(
    links: Iterable[bytes | Link],
    pin: Pin | None,
    rosters: Sequence[Roster],
    run: str,
    topology: str,
    settings: str | None = None,
) -> list[Link]:
    """The links that are new to a member, when all of them hold.

    Args:
        links: In order, as received. Ask for them from the pinned one on: where there is nothing new, a
            server that was set back shows nothing either, and only the pinned link tells the two apart.
        pin: The newest link accepted before; None for a member that has none, which needs all links.
        rosters: All epochs so far, as `read_rosters` gives them.
        run: Name of the run.
        topology: Digest of the topology that this member has validated.
        settings: Digest of the compile settings that this member has validated, if it has.

    Returns:
        The links after the pin. Pin the last one (`Pin.of`) before anything of it is used.

    Raises:
        EnvelopeRefused: One of its kinds says which rule is broken.
    """
    by_epoch = {roster.epoch: roster for roster in rosters}
    read = [link if isinstance(link, Link) else Link.read(link) for link in links]
    for link in read:
        _check_origin(link, by_epoch, run)
        _check_agreed(link, topology, settings)
    for before, link in pairwise(read):
        _check_next(Pin.of(before), link)
    if read and pin is None:
        _check_start(read[0])
    return _after_pin(read, pin) if read and pin else read


def _check_origin(link: Link, by_epoch: dict[int, Roster], run: str) -> None:
    header = link.header
    if header.run != run:
        raise ForeignEnvelope(
            f"Link {header.number} is of run {header.run!r}, and yours is {run!r}. Check that roster and "
            "server are those of one run."
        )
    roster = by_epoch.get(header.roster_epoch)
    if roster is None:
        raise RosterRefused(
            f"Link {header.number} was made under epoch {header.roster_epoch} of the roster, which you do "
            "not have. Get the newest roster file from an owner, and restart. "
            f"Received: known epochs={sorted(by_epoch)}."
        )
    check_roster(header, roster)
    link.check_signature(roster.find(header.sender))


def _check_agreed(link: Link, topology: str, settings: str | None) -> None:
    header = link.header
    for what, found, expected in (
        ("topology", header.topology, topology),
        ("settings", header.settings, header.settings if settings is None else settings),
    ):
        if found != expected:
            raise ForeignEnvelope(
                f"Link {header.number} belongs to another {what} than what this client has validated. All "
                "members of a run train one model with one set of compile settings: compare them with "
                f"{header.sender!r}, or start a new run. Received: {what}={found[:12]}…, "
                f"expected={expected[:12]}…."
            )


def _check_start(link: Link) -> None:
    if link.header.number:
        raise MissingLinks(
            f"The history begins with link {link.header.number}, and you have none yet. Ask the server for "
            "all links from number 0. If you had a pin for this run, bring its file back instead."
        )


def _check_next(before: Pin, link: Link) -> None:
    header = link.header
    if header.number <= before.number:
        raise ReplayDetected(
            f"Link {header.number} came again after link {before.number}: an old envelope is shown as a new "
            "one. Do not go on with this server before its owner has explained it."
        )
    if header.number > before.number + 1:
        raise MissingLinks(
            f"Link {header.number} came after link {before.number}: those between were kept back or lost. "
            "Ask the server for all links since your pin."
        )
    if header.previous != before.digest:
        raise _fork(header.number)
    if header.roster_epoch < before.epoch:
        raise RosterRefused(
            f"Link {header.number} was made under epoch {header.roster_epoch} of the roster, after epoch "
            f"{before.epoch} was in force. {header.sender!r} must take the newest roster file, and seal "
            "again."
        )
    if header.turn < before.turn:
        raise ReplayDetected(
            f"Link {header.number} is of turn {header.turn}, after turn {before.turn}: whoever sealed it no "
            "longer had the turn. Do not go on with this server before its owner has explained it."
        )


def _after_pin(read: list[Link], pin: Pin) -> list[Link]:
    first, last = read[0].header.number, read[-1].header.number
    if last < pin.number:
        raise RollbackDetected(
            f"The server's history ends with link {last}, and you have seen link {pin.number}: it was set "
            "back. Have the server restored from its newest checkpoint. Only if all members agree to lose "
            "what came after, start a new run from a saved model."
        )
    if first > pin.number:
        _check_next(pin, read[0])
        return read
    position = pin.number - first
    if read[position].digest != pin.digest:
        raise _fork(pin.number)
    return read[position + 1 :]


def _fork(number: int) -> ForkDetected:
    return ForkDetected(
        f"Link {number} does not go on from the history that you have seen: there are two of them, and "
        "members may be on different ones. Stop, and compare the newest number and digest with the other "
        "members, not by way of this server."
    )
