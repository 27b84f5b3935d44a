"""Members, rosters and histories of links, as the tests of sealed state need them."""

from __future__ import annotations

from dataclasses import replace

from keras_split.crypto import Header, Identity, Link, Roster, create_roster, read_roster, seal
from keras_split.crypto.canonical import sha256

TOPOLOGY, SETTINGS, STATE = "1" * 64, "2" * 64, "3" * 64
RUN, OTHER_RUN = "0123456789abcdef", "f" * 16

OWNER = Identity.generate("owner", post_quantum=False)
ALICE = Identity.generate("alice")
BOB = Identity.generate("bob", post_quantum=False)
CAROL = Identity.generate("carol", post_quantum=False)
STRANGER = Identity.generate("stranger", post_quantum=False)


def roster_file(*members: Identity, run: str = RUN) -> str:
    """A roster file that OWNER signed."""
    people = [member.member for member in members]
    return create_roster(people, [OWNER.member], run=run, signers=[OWNER])


def roster_of(*members: Identity, run: str = RUN) -> Roster:
    """Its first epoch."""
    return read_roster(roster_file(*members, run=run))


def header(roster: Roster, sender: Identity, after: Link | None = None, **changes: object) -> Header:
    """That of the link which comes next."""
    made = Header(
        run=roster.run,
        roster_epoch=roster.epoch,
        roster_digest=roster.digest,
        number=0 if after is None else after.header.number + 1,
        turn=1 if after is None else after.header.turn + 1,
        kind="full",
        base="" if after is None else after.header.result,
        result=STATE,
        topology=TOPOLOGY,
        settings=SETTINGS,
        previous="" if after is None else after.digest,
        sender=sender.name,
        version=7,
    )
    return replace(made, **changes)


def signed_again(signer: Identity, link: Link, blob: bytes, **changes: object) -> Link:
    """What a sender that means harm signs: the same header, or one with changes, over another blob."""
    return Link.signed(signer, replace(link.header, **changes), sha256(blob), len(blob))


def history(roster: Roster, *senders: Identity, payload: bytes = b"state") -> list[Link]:
    """One link by each, in order."""
    links: list[Link] = []
    for sender in senders:
        link, _ = seal(sender, roster, header(roster, sender, links[-1] if links else None), payload)
        links.append(link)
    return links
