"""A run on a disk, and commits as its members send them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Identity, Link, read_rosters
from keras_split.crypto.canonical import sha256
from keras_split.server.absences import Absences
from keras_split.server.envelopes import Envelopes
from keras_split.server.links import Links
from keras_split.server.run import Run
from keras_split.server.run_options import RunOptions
from keras_split.state import Bundle, Shelf
from keras_split.store import BlobFolder
from support.sealed import SETTINGS, TOPOLOGY, header

LEASE_SECONDS = 60.0


def open_run(folder: Path, roster: str, topology: str = TOPOLOGY) -> Run:
    """What a server makes of its folder; nothing is read before `begin`."""
    options = RunOptions(roster, read_rosters(roster))
    shelf = Shelf(folder / "commits", keep=2, in_one_line=True)
    links, name = Links(folder / "links"), options.rosters[-1].run
    envelopes = Envelopes(BlobFolder(folder / "envelopes", *options.envelope_bytes), name, links)
    kept = {"envelopes": envelopes, "absences": Absences(folder / "away.json")}
    return Run(options, topology, SETTINGS, links, shelf, LEASE_SECONDS, **kept)


def begun(folder: Path, roster: str) -> Run:
    """A server that has just been started on its folder."""
    run = open_run(folder, roster)
    run.begin(body)
    return run


def body() -> Bundle:
    """A server's state."""
    return {"body": np.array(0)}


def blob_of(number: int) -> bytes:
    """What stands for an envelope."""
    return f"blob {number}".encode()


def link_of(run: Run, sender: Identity, turn: int, **changes: object) -> Link:
    """The link that comes next, over a blob that nobody has put."""
    number = run.rota.record.number
    before = run._links.get(number) if number >= 0 else None
    blob = blob_of(number + 1)
    given = {"turn": turn, "version": 0, **changes}
    made = header(run.options.rosters[-1], sender, before, **given)
    return Link.signed(sender, made, sha256(blob), len(blob))


def take(run: Run, member: Identity) -> int:
    """The number of a turn that the member gets."""
    reply = run.ask(member.name, pb.TurnRequest(since=-1, pinned=-1))
    assert reply.turn, reply.waiting
    return reply.turn


def commit(run: Run, link: Link, *, ends: bool = False) -> int:
    """Hands over, at the link's update."""
    said, wire = link.header, pb.Commit(link=link.to_bytes(), ends=ends)
    return run.commit(said.sender, said.turn, wire, body, said.version)
