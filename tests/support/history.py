"""A history of a run of one member, and that member before a server that shows of it what it likes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Identity, Link, Pin, Trained, create_roster
from keras_split.owners import Agreed, DataOwner, Membership, Places
from keras_split.owners.history import History, Moment
from keras_split.state import Bundle

IDENTITY = Identity.generate("a", post_quantum=False)
ROSTER = create_roster([IDENTITY.member], [IDENTITY.member], signers=[IDENTITY])
AGREED = Agreed("1" * 64, "2" * 64)
_MOST_ASKED = 100


class Blobs(dict[str, bytes]):
    """A handover in memory."""

    address = ""
    put = dict.__setitem__

    def get(self, name: str, size: int, hint: object = None) -> bytes:  # type: ignore[override]
        return self[name]


def expand(secret: bytes) -> Bundle:
    """Every secret gives the same beginning."""
    del secret
    return {"head": np.array(0.0)}


def membership_in(folder: Path, known: Link | None = None) -> Membership:
    """That of a member which has pinned a link, or none."""
    found = Membership(IDENTITY, ROSTER, Places(folder=folder))
    if known is not None:
        found.pinned.advance(Pin.of(known, known.header.trained))
    return found


def history_of(count: int, folder: Path) -> tuple[list[Link], Blobs]:
    """A secret and its deltas, with what they name."""
    blobs = Blobs()
    history = History(membership_in(folder), blobs, expand, 64)
    state, (link, blob) = expand(b""), history.first(1, AGREED)
    links = [link]
    blobs.put(link.blob, blob)
    history.accept(link, state)
    for number in range(1, count):
        state = {"head": np.array(float(number))}
        link, blob = history.next(state, Moment(number, number, Trained(number)), AGREED)
        blobs.put(link.blob, blob)
        history.accept(link, state)
        links.append(link)
    return links, blobs


def owner_before(
    show: Callable[[pb.TurnRequest], pb.TurnReply], blobs: Blobs, member: Membership
) -> tuple[DataOwner, list[pb.Commit]]:
    """A data owner whose server answers as `show` does, and what it commits there."""
    commits: list[pb.Commit] = []
    asked: list[pb.TurnRequest] = []

    def ask(request: pb.TurnRequest) -> pb.TurnReply:
        asked.append(request)
        assert len(asked) < _MOST_ASKED, "It asks for ever."
        return show(request)

    session: Any = SimpleNamespace(
        ask_for_turn=ask,
        take_turn=lambda *position: None,
        commit=commits.append,
        end_turn=lambda: None,
        end_inference=lambda: None,
        version=0,
    )
    return DataOwner(member, blobs, lambda: session, AGREED, expand, 64), commits


def reply_of(links: list[Link], **given: Any) -> pb.TurnReply:
    """A granted turn, unless more is given."""
    said = {"turn": 9, "quota": 1.0, "unit": "steps", "roster": ROSTER, "commits": 9, **given}
    return pb.TurnReply(links=[link.to_bytes() for link in links], **said)
