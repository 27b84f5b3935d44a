"""What a server shows of a run's history: read page by page, and believed link by link."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Link, Pin, Trained, verify_chain
from keras_split.errors import MissingLinks, RollbackDetected
from keras_split.owners.agreed import Agreed
from keras_split.owners.history import from_newest_whole
from keras_split.owners.membership import Membership


class Shown:
    """Reads the links that are new to a member.

    Each page is verified and pinned before the next one is asked for, unless all of it comes before the pin,
    which is what vouches for it. So a server can have this side hold links that members have signed, which it
    cannot make, and of others no more than a page and as many as come before the pin.

    Args:
        membership: Who reads.
        agreed: What this member has validated.
        ask: For a further page.
    """

    def __init__(self, membership: Membership, agreed: Agreed, ask: Callable[[pb.TurnRequest], pb.TurnReply]):
        self._membership = membership
        self._agreed = agreed
        self._ask = ask

    def links(self, reply: pb.TurnReply) -> list[Link]:
        """Those of the reply and of all pages after it, as far back as the newest state needs them.

        Raises:
            EnvelopeRefused: They are not the run's history, or not all of it.
        """
        verified: list[Link] = []
        waiting = _page(reply, [])
        while reply.more_links:
            if self._reaches_pin(waiting):
                verified, waiting = self._verified(verified, waiting), []
            before = waiting or verified
            reply = self._ask(self._request(before[-1].header.number + 1))
            waiting += _page(reply, before)
        return self._verified(verified, waiting)

    def _request(self, first: int) -> pb.TurnRequest:
        return pb.TurnRequest(
            member=self._membership.identity.name,
            since=first,
            pinned=first,
            looks=True,
            epochs=len(self._membership.rosters),
        )

    def _reaches_pin(self, links: Sequence[Link]) -> bool:
        pin = self._membership.pinned.read()
        return pin is None or links[-1].header.number >= pin.number

    def _verified(self, before: list[Link], links: list[Link]) -> list[Link]:
        """Both together, of which the latter are verified and pinned before anything of them is used."""
        pinned, membership, agreed = self._membership.pinned, self._membership, self._agreed
        known = pinned.read()
        if known is not None and not links:
            raise RollbackDetected(
                "The server shows nothing of the run's history, and this member has seen some of it. Has the "
                "server lost its folder? Restore it from its backup."
            )
        new = verify_chain(links, known, membership.rosters, membership.run, agreed.topology, agreed.settings)
        if new:
            own = [link.header.trained for link in new if link.header.sender == membership.identity.name]
            own = own or [known.trained if known else Trained()]
            pinned.advance(Pin.of(new[-1], own[-1]))
        return from_newest_whole([*before, *links])


def _page(reply: pb.TurnReply, before: Sequence[Link]) -> list[Link]:
    """A reply's links, which go on where those before have ended; without progress one would ask for ever."""
    links = list(map(Link.read, reply.links))
    is_promised = reply.more_links or before
    is_next = not before or (links and links[-1].header.number == before[-1].header.number + len(links))
    if (is_promised and not links) or not is_next:
        raise MissingLinks(
            "The server says that there are more links of the run's history, and does not send the next. Do "
            "both sides run the same version? If this repeats, do not go on with this server."
        )
    return links
