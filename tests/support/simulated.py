"""A run in one thread: virtual clock, disk and network under the real state machines of both sides.

Seals and signatures are hashes here, and pins are in memory: crypto has tests of its own, and ten thousand
schedules are to take seconds.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Identity, Link, Pin, Trained, create_roster, read_rosters
from keras_split.crypto.member import Member
from keras_split.errors import BlobMissing, ConnectionLost, StoreFull, TurnLost
from keras_split.owners import Agreed, DataOwner, Membership, Places, Taken, history, membership
from keras_split.server.envelopes import Envelopes
from keras_split.server.run import Run
from keras_split.server.run_options import RunOptions
from keras_split.state import Bundle, Ticket
from keras_split.turns import Quota

TOPOLOGY, SETTINGS = "1" * 64, "2" * 64
BODY, HEAD = 0, 17
# In moments of the schedule; a client that is there does something far more often.
LONG = 60.0
_FAULTY_MOMENTS, _MOST_MOMENTS = 200, 5000


class Killed(Exception):
    """A process that is gone in the midst of what it does."""


class NotYet(Exception):
    """It is another's turn."""


@dataclass
class Faults:
    """Whether something goes wrong at a point.

    Args:
        random: Of the schedule.
        rate: How often.
    """

    random: random.Random
    rate: float
    count: int = 0

    def strike(self) -> bool:
        hit = self.random.random() < self.rate
        self.count += hit
        return hit


class Disk:
    """What survives: commits and links, each written whole or not at all."""

    def __init__(self) -> None:
        self.commits: list[tuple[Ticket, Bundle, dict[str, Any]]] = []
        self.links: dict[int, Link] = {}
        self.blobs: dict[str, bytes] = {}
        self.pins: dict[str, Pin] = {}


class Shelf:
    """Of commits, on a virtual disk; around the rename the server may die, or the disk be full."""

    def __init__(self, disk: Disk, faults: Faults):
        self._disk, self._faults = disk, faults

    def put(self, bundle: Bundle, version: int, metadata: dict[str, Any], nonce: int) -> Ticket:
        self._fail_at_times()
        ticket = Ticket(version, nonce)
        self._disk.commits.append((ticket, dict(bundle), {**metadata, "run": dict(metadata["run"])}))
        self._fail_at_times()
        return ticket

    def latest(self) -> tuple[Ticket, Bundle, dict[str, Any]] | None:
        return self._disk.commits[-1] if self._disk.commits else None

    def _fail_at_times(self) -> None:
        if self._faults.strike():
            raise self._faults.random.choice([Killed(), OSError(errno.ENOSPC, "No space left on device")])


class Links:
    """On the same disk."""

    def __init__(self, disk: Disk, faults: Faults):
        self._disk, self._faults = disk, faults

    def put(self, link: Link) -> None:
        self._disk.links[link.header.number] = link
        if self._faults.strike():
            raise Killed

    def get(self, number: int) -> Link:
        return self._disk.links[number]

    def has_any(self) -> bool:
        return bool(self._disk.links)

    def page(self, first: int, last: int) -> list[Link]:
        return [self._disk.links[number] for number in range(first, last + 1)][:3]

    def newest_whole(self, last: int) -> int:
        found = (at for at in range(last, -1, -1) if self.get(at).header.kind != "delta")
        return next(found, -1)


class Kept:
    """The server's store of blobs, on the same disk."""

    def __init__(self, disk: Disk):
        self._disk = disk

    def has(self, run: str, name: str) -> bool:
        return name in self._disk.blobs

    def drop(self, run: str, name: str) -> None:
        del self._disk.blobs[name]


class Blobs:
    """A handover whose put may fail, and whose user may die after it."""

    address = ""

    def __init__(self, disk: Disk, faults: Faults):
        self._disk, self._faults = disk, faults

    def put(self, name: str, blob: bytes) -> None:
        if self._faults.strike():
            raise ConnectionLost("The store is gone for a moment.")
        self._disk.blobs[name] = blob
        if self._faults.strike():
            raise Killed

    def get(self, name: str, size: int, hint: object = None) -> bytes:
        if self._faults.strike():
            raise ConnectionLost("The store is gone for a moment.")
        if name not in self._disk.blobs:
            raise BlobMissing("It was never put.")
        return self._disk.blobs[name]


class Server:
    """A body whose training is a sum that depends on the order, and its run.

    Args:
        disk: Its own.
        options: Of the run.
        faults: Of the process.
        lease: Moments of silence.
    """

    def __init__(self, disk: Disk, options: RunOptions, faults: Faults, lease: float):
        self.disk, self._options, self._faults, self._lease = disk, options, faults, lease
        self.now = 0.0
        self.starts = 0
        self.start()

    def start(self) -> None:
        """A new process on the same disk."""
        self.starts += 1
        shelf, links = Shelf(self.disk, Faults(self._faults.random, 0)), Links(self.disk, self._faults)
        envelopes = Envelopes(Kept(self.disk), self._options.rosters[-1].run, links)
        given = (links, shelf, self._lease, lambda: self.now, envelopes)
        self.run = Run(self._options, TOPOLOGY, SETTINGS, *given)
        self.run.begin(lambda: self.bundle([]))
        self.run._commits._shelf = Shelf(self.disk, self._faults)
        self.streams: dict[str, int] = {}
        self.take_back()

    def bundle(self, seen: Sequence[int]) -> Bundle:
        """The state, and what it is made of."""
        return {"body": np.array(trained(BODY, seen)), "seen": np.array(seen, np.int64)}

    def take_back(self) -> None:
        """To the last commit."""
        bundle, _ = self.run.latest()
        self.seen = [int(each) for each in bundle["seen"]]

    def begin(self, member: str) -> int:
        self.streams[member] = self.run.turn_of(member)
        self.take_back()
        return len(self.seen)

    def step(self, member: str, value: int) -> int:
        self.run.renew(member, self._stream(member))
        self.seen.append(value)
        return len(self.seen)

    def commit(self, member: str, commit: pb.Commit) -> None:
        turn = self._stream(member)
        self.run.renew(member, turn)
        self.run.commit(member, turn, commit, lambda: self.bundle(self.seen), len(self.seen))

    def _stream(self, member: str) -> int:
        if member not in self.streams:
            raise TurnLost("There is no such stream any more.")
        return self.streams[member]


class Session:
    """A line to the server that loses requests, and replies."""

    def __init__(self, server: Server, member: str, faults: Faults):
        self._server, self._member, self._faults = server, member, faults
        self.version = 0

    def ask_for_turn(self, request: pb.TurnRequest) -> pb.TurnReply:
        return self._over_the_line(lambda: self._server.run.ask(self._member, request))

    def take_turn(self, member: str, version: int) -> None:
        self.version = self._over_the_line(lambda: self._server.begin(member))
        assert self.version == version

    def step(self, value: int) -> None:
        self.version = self._over_the_line(lambda: self._server.step(self._member, value))

    def commit(self, commit: pb.Commit) -> None:
        self._over_the_line(lambda: self._server.commit(self._member, commit))

    def end_turn(self) -> None:
        self._server.streams.pop(self._member, None)

    def end_inference(self) -> None:
        """There is none here."""

    def _over_the_line(self, ask: Any) -> Any:
        if self._faults.strike():
            raise ConnectionLost("The request was lost.")
        try:
            reply = ask()
        except Killed:
            self._server.start()
            raise ConnectionLost("The server died.") from None
        if self._faults.strike():
            raise ConnectionLost("The reply was lost.")
        return reply


@dataclass
class Client:
    """Trains steps in turns, from its last commit on; a new process knows what is on its disk only.

    Args:
        identity: Its keys.
        roster: Text.
        server: Of the run.
        blobs: The handover.
        steps: How many it has.
        faults: Of its line, and of itself.
    """

    identity: Identity
    roster: str
    server: Server
    blobs: Blobs
    steps: int
    faults: Faults
    is_done: bool = False
    waits: bool = False
    news: tuple[int, ...] = ()
    trained: int = 0
    used: int = 0
    state: Bundle = field(default_factory=dict)
    taken: Taken | None = None

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A new process."""
        self.taken = None
        self.session = Session(self.server, self.identity.name, self.faults)
        own = Membership(self.identity, self.roster, Places(folder=".", full_every=3))
        own.pinned = Pinned(self.server.disk, self.identity.name)  # type: ignore[assignment]
        self.owner = DataOwner(
            own,
            self.blobs,
            lambda: self.session,  # type: ignore[arg-type, return-value]
            Agreed(TOPOLOGY, SETTINGS),
            expanded,
            1 << 20,
        )

    def act(self) -> None:
        """One thing: take the turn, or train a step, with the commit that belongs to it."""
        self.waits = False
        try:
            self._take() if self.taken is None else self._train()
        except NotYet:
            self.waits = True
        except Killed:
            self.start()
        except (ConnectionLost, StoreFull, TurnLost):
            self.taken = None

    def _take(self) -> None:
        self.taken = self.owner.take(_not_yet)
        self.state = self.taken.state
        self.trained, self.used = self.taken.trained.steps, int(self.taken.used)
        if self.trained == self.steps:
            self._leave()

    def _train(self) -> None:
        assert self.taken is not None
        value = hash_of(self.identity.name, self.trained)
        self.session.step(value)
        self.state = {"head": np.array(mixed(int(self.state["head"]), value))}
        self.trained, self.used = self.trained + 1, self.used + 1
        ends = self.used >= self.taken.quota.amount or self.trained == self.steps
        if ends or self.taken.commit_every and self.used % self.taken.commit_every == 0:
            trained = Trained(0, self.trained)
            self.owner.commit(self.state, self.taken.turn, trained, ends=ends, used=float(self.used))
            self.taken = None if ends else self.taken
        if self.faults.strike():
            raise Killed

    def _leave(self) -> None:
        self.owner.leave(is_done=False)
        self.is_done, self.taken = True, None


def _not_yet(waiting: object) -> None:
    raise NotYet


def expanded(secret: bytes) -> Bundle:
    """Every secret gives the same beginning, so that runs can be compared."""
    del secret
    return {"head": np.array(HEAD)}


def mixed(state: int, value: int) -> int:
    """Depends on all values so far and on their order."""
    return (state * 6364136223846793005 + value) % (1 << 62)


def trained(state: int, values: Sequence[int]) -> int:
    """After several."""
    return functools.reduce(mixed, values, state)


def hash_of(name: str, step: int) -> int:
    """A client's batch."""
    return sum(name.encode()) * 1_000_003 + step


@dataclass(frozen=True)
class Schedule:
    """What a run does, and what goes wrong in it.

    Args:
        seed: Of its faults, and of who acts when.
        rate: How often something goes wrong where it can.
        steps: Of each client.
        quota: Steps of a turn.
        commit_every: Steps; 0 for never in the midst of a turn.
        lease: Moments of silence after which a turn is over, and as many for an absent client.
        rests: How often a client does nothing for a while, longer than a lease may be.
    """

    seed: int
    rate: float
    steps: tuple[int, ...]
    quota: int
    commit_every: int
    lease: float = LONG
    rests: float = 0.0


@contextlib.contextmanager
def transparent() -> Iterator[None]:
    """Hashes in place of seals and signatures, and rosters read once."""
    with (
        mock.patch.object(history, "seal", _seal),
        mock.patch.object(history, "open_envelope", lambda _identity, _roster, _link, blob: blob),
        mock.patch.object(membership, "read_rosters", functools.cache(read_rosters)),
        mock.patch.object(membership, "Pinned", lambda folder, run: None),
        mock.patch.object(Link, "read", functools.lru_cache(1000)(Link.read)),
        mock.patch.object(Identity, "sign", lambda self, message: _signed(self.member, message)),
        mock.patch.object(
            Member, "verify", lambda self, signature, message: signature == _signed(self, message)
        ),
    ):
        yield


def run_all(identities: Sequence[Identity], roster: str, plan: Schedule, make: Any = Server) -> Disk:
    """Runs clients until all are done; returns what is on the disk.

    Args:
        identities: Of as many clients as the plan has.
        roster: Of all of them.
        plan: The schedule.
        make: The server's class.
    """
    drawn = random.Random(plan.seed)
    faults = Faults(drawn, plan.rate)
    options = RunOptions(
        roster,
        membership.read_rosters(roster),
        "round-robin",
        Quota(plan.quota, "steps"),
        plan.commit_every,
        plan.lease,
    )
    disk = Disk()
    server = make(disk, options, faults, plan.lease)
    clients = [
        Client(each, roster, server, Blobs(disk, faults), count, faults)
        for each, count in zip(identities, plan.steps, strict=True)
    ]
    while left := [client for client in clients if not client.is_done]:
        _check_moments(server.now)
        if server.now >= _FAULTY_MOMENTS:
            faults.rate = 0.0  # Nothing goes wrong for ever.
        if faults.strike():
            server.start()
        _one_round(drawn, left, server, plan)
    return disk


def roster_of(identities: Sequence[Identity]) -> str:
    """Signed by the first."""
    members = [each.member for each in identities]
    return create_roster(members, members[:1], run="ab" * 8, signers=[identities[0]])


class Pinned:
    """On the client's disk, which forgets nothing."""

    def __init__(self, disk: Disk, name: str):
        self._disk, self._name = disk, name

    def read(self) -> Pin | None:
        return self._disk.pins.get(self._name)

    def advance(self, pin: Pin) -> None:
        known = self.read()
        assert known is None or pin.number > known.number or pin == known
        self._disk.pins[self._name] = pin


def _one_round(drawn: random.Random, left: list[Client], server: Server, plan: Schedule) -> None:
    """Each does something, in any order, unless it rests."""
    drawn.shuffle(left)
    for client in left:
        server.now += 1.0
        # Who waits looks again when something has happened, and else now and then: polls cost time here.
        news = len(server.disk.commits), server.starts, int(server.now) // 20
        if client.waits and client.news == news or drawn.random() < plan.rests:
            continue
        client.news = news
        client.act()
    if all(client.waits for client in left):
        server.now += plan.lease / 4  # Who is waited for is not there.


def _check_moments(now: float) -> None:
    if now > _MOST_MOMENTS:
        raise AssertionError("The run does not come to its end.")


def _seal(identity: Identity, roster: Any, header: Any, payload: bytes) -> tuple[Link, bytes]:
    del roster
    return Link.signed(identity, header, hashlib.sha256(payload).hexdigest(), len(payload)), payload


def _signed(member: Member, message: bytes) -> bytes:
    """As long as a signature."""
    return hashlib.sha512(member.signing_key + message).digest()
