"""The client state that a run has come to, from envelope to envelope."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_split.crypto import Header, Link, Pin, Trained, open_envelope, seal
from keras_split.errors import DamagedEnvelope, MissingLinks, NotFinite
from keras_split.exchange import Handover, Hint
from keras_split.owners.agreed import Agreed
from keras_split.owners.membership import Membership
from keras_split.state import Bundle, CorruptState, applied, difference, dump, parse, state_digest
from keras_split.state.secret import SECRET_BYTES

# What a state's bytes have around them: names, shapes, digests.
_FRAME_BYTES = 1 << 20


class Moment(NamedTuple):
    """When a state was handed over.

    Args:
        turn: In which it was trained.
        version: The server's updates.
        trained: By this member of its own data.
    """

    turn: int
    version: int = 0
    trained: Trained = Trained()


class History:
    """Follows a run's envelopes, and makes the next.

    Args:
        membership: Who this is.
        handover: Where envelopes are.
        expand: From the secret to the first state.
        max_bytes: Of a state.
    """

    def __init__(
        self,
        membership: Membership,
        handover: Handover,
        expand: Callable[[bytes], Bundle],
        max_bytes: int,
    ):
        self._membership = membership
        self._handover = handover
        self._expand = expand
        self._max_bytes = max_bytes + _FRAME_BYTES
        self._full_every = membership.places.full_every
        self._head: Link | None = None
        self._whole = -1
        self.state: Bundle = {}

    @property
    def number(self) -> int:
        """Of the envelope whose state this is; -1 before the first."""
        return -1 if self._head is None else self._head.header.number

    @property
    def version(self) -> int:
        """The server's updates that belong to this state."""
        return 0 if self._head is None else self._head.header.version

    def follow(self, links: Sequence[Link], addresses: dict[str, str]) -> None:
        """Goes to the state of the last link.

        Args:
            links: Verified, oldest first, up to the newest of the run.
            addresses: Where members offer envelopes.

        Raises:
            SplitError: An envelope cannot be had, or does not hold what it says.
        """
        path = from_newest_whole([link for link in links if link.header.number > self.number])
        if path and _is_delta(path[0]) and path[0].header.number != self.number + 1:
            raise MissingLinks(
                "The server left out the envelopes between this member's state and the newest."
            )
        for link in path:
            self._go_to(link, addresses)

    def first(self, turn: int, agreed: Agreed) -> tuple[Link, bytes]:
        """The envelope of the secret."""
        secret = secrets.token_bytes(SECRET_BYTES)
        self.state = self._expand(secret)
        return self._sealed("secret", secret, "", self.state, Moment(turn), agreed)

    def next(self, state: Bundle, moment: Moment, agreed: Agreed) -> tuple[Link, bytes]:
        """The envelope of a new state.

        Args:
            state: This client's.
            moment: Now.
            agreed: Digests of topology and settings.

        Raises:
            NotFinite: The state is one that no other member would use.
        """
        _check_own_state(state)
        # The digest of the state that this one follows: the newest link is there, and has been compared.
        base = "" if self._head is None else self._head.header.result
        if self._needs_full():
            return self._sealed("full", dump(state), base, state, moment, agreed)
        return self._sealed("delta", difference(self.state, state), base, state, moment, agreed)

    def accept(self, link: Link, state: Bundle) -> None:
        """What this member has handed over is the run's state now."""
        self._membership.pinned.advance(Pin.of(link, link.header.trained))
        self._head, self.state = link, state
        if not _is_delta(link):
            self._whole = link.header.number

    def _needs_full(self) -> bool:
        # A member that was added since could not open what a delta goes on from.
        epoch = self._membership.roster.epoch
        is_new_epoch = self._head is not None and self._head.header.roster_epoch != epoch
        return is_new_epoch or self.number + 1 - self._whole >= self._full_every

    def _sealed(
        self, kind: Any, payload: bytes, base: str, state: Bundle, moment: Moment, agreed: Agreed
    ) -> tuple[Link, bytes]:
        member, roster = self._membership.identity, self._membership.roster
        header = Header(
            run=roster.run,
            roster_epoch=roster.epoch,
            roster_digest=roster.digest,
            number=self.number + 1,
            turn=moment.turn,
            kind=kind,
            base=base,
            result=state_digest(state),
            topology=agreed.topology,
            settings=agreed.settings,
            previous="" if self._head is None else self._head.digest,
            sender=member.name,
            version=moment.version,
            trained=moment.trained,
        )
        return seal(member, roster, header, payload)

    def _go_to(self, link: Link, addresses: dict[str, str]) -> None:
        header = link.header
        hint = Hint(header.sender, addresses.get(header.sender, ""))
        blob = self._handover.get(link.blob, link.size, hint)
        roster = self._membership.at(header.roster_epoch)
        payload = open_envelope(self._membership.identity, roster, link, blob)
        state = self._unpacked(header.kind, payload)
        if state_digest(state) != header.result:
            raise DamagedEnvelope(
                f"{header.sender!r} sealed another state than it signed (link {header.number}). Do not go "
                "on, and ask that member's people why."
            )
        _check_finite(state, header.sender)
        self._head, self.state = link, state
        if not _is_delta(link):
            self._whole = header.number

    def _unpacked(self, kind: str, payload: bytes) -> Bundle:
        try:
            if kind == "secret":
                return self._expand(payload)
            if kind == "full":
                return parse(payload, self._max_bytes)
            return applied(self.state, payload, self._max_bytes)
        except CorruptState as error:
            raise DamagedEnvelope(f"A member's sealed state cannot be used: {error}") from None


def from_newest_whole(links: Sequence[Link]) -> list[Link]:
    """Those from the newest on whose state can be had without another's; all if there is none."""
    whole = [at for at, link in enumerate(links) if not _is_delta(link)]
    return list(links[whole[-1] :] if whole else links)


def _is_delta(link: Link) -> bool:
    return link.header.kind == "delta"


def _check_own_state(state: Bundle) -> None:
    # Once it is committed, every other member would meet it for ever, and the run would be over.
    name = _not_finite(state)
    if name is not None:
        raise NotFinite(
            f"{name!r} of this client's state holds NaN or infinity, so that it is not handed over: the next "
            "`fit`, of whichever member, goes on from the last commit. Lower the learning rate, clip "
            "gradients, or look at the batches; a server with `--nan refuse` stops at the step that fails."
        )


def _check_finite(state: Bundle, sender: str) -> None:
    name = _not_finite(state)
    if name is not None:
        raise DamagedEnvelope(
            f"{name!r} in the state of {sender!r} is not finite: that member's training has failed, and it "
            "handed over all the same. Do not go on, and ask that member's people why."
        )


def _not_finite(state: Bundle) -> str | None:
    """Name of an array that holds NaN or infinity."""
    for name, array in state.items():
        if array.dtype.kind not in "iub" and not np.isfinite(array.astype(np.float64)).all():
            return name
    return None
