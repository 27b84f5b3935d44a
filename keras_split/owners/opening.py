"""From what a user gives to a membership and a way of handing over."""

from __future__ import annotations

from pathlib import Path

from keras_split.crypto import Identity
from keras_split.exchange import Handover, HandoverSettings, PeerSettings, open_handover
from keras_split.owners.membership import Membership, Places
from keras_split.transport import Credentials


def member_of(
    identity: Identity | str | Path | None, roster: str | Path | None, handover: str | Places
) -> Membership | None:
    """A membership; None for a client of its own.

    Args:
        identity: Keys, or the file with them.
        roster: The signed file.
        handover: The way, with or without details.

    Raises:
        ValueError: One of `identity` and `roster` is missing.
        EnvelopeRefused: The roster is not valid, or has no member with these keys.
    """
    if identity is None and roster is None:
        return None
    if identity is None or roster is None:
        raise ValueError(
            "A member of a run needs both `identity` (its private keys, from `keras-split keygen`) and "
            f"`roster` (the signed file of members). Received: identity={identity!r}, roster={roster!r}."
        )
    keys = identity if isinstance(identity, Identity) else Identity.load(identity)
    places = handover if isinstance(handover, Places) else Places(handover)
    if not places.folder:
        places = places.beside(Path(roster if isinstance(identity, Identity) else identity), keys.name)
    return Membership(keys, Path(roster).read_text(), places)


def way_of(
    membership: Membership, target: str, credentials: Credentials | None, *, insecure: bool
) -> Handover:
    """Opens a member's way of handing over.

    Args:
        membership: Whose.
        target: `host:port` of the compute server.
        credentials: This member's.
        insecure: Without TLS, on loopback only.
    """
    places = membership.places
    peer = PeerSettings(Path(places.folder) / "envelopes", places.listen, places.advertised, places.fallback)
    settings = HandoverSettings(server=target, insecure=insecure, peer=peer)
    return open_handover(places.handover, membership.run, credentials, settings)
