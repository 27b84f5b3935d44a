"""A run of several data owners on one body: turns, links and commits.

The one point at which a commit happens is the rename of the snapshot that names it. Whatever dies before
leaves the state, the turns and the links of the last one; whatever dies after leaves this one's.
"""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Link, Pin, Roster, verify_chain
from keras_split.errors import ProtocolError, Refused, StoreFull, TurnLost
from keras_split.server.links import Links
from keras_split.state import Bundle, Shelf
from keras_split.turns import Quota, Record, Rota, Waiting, order_of

_NO_ROOM = (errno.EDQUOT, errno.EFBIG, errno.ENOSPC)

# Others get a member's address.
_MOST_CHARACTERS = 1024


@dataclass(frozen=True)
class RunOptions:
    """How members take turns.

    Args:
        roster: The signed file with all epochs, as text.
        rosters: What it says.
        order: As `order_of` reads it.
        quota: Of a turn.
        commit_every: Steps after which a turn commits in its midst; 0 for never.
        absence_seconds: How long a member that does not ask for its turn is waited for.
        envelope_bytes: Ceilings on one envelope that the server keeps for the members, and on all.
    """

    roster: str
    rosters: Sequence[Roster]
    order: str = "round-robin"
    quota: Quota = Quota()
    commit_every: int = 0
    absence_seconds: float = 60.0
    envelope_bytes: tuple[int, int] = (1 << 30, 64 << 30)

    @property
    def members(self) -> list[str]:
        """Of the newest epoch, in its order."""
        return [member.name for member in self.rosters[-1].members]


class Run:
    """What a served body knows of its data owners.

    Args:
        options: How members take turns.
        topology: Digest of the topology that is served.
        settings: Digest of the compile settings.
        links: Where signed headers are kept.
        shelf: Where commits are kept.
        lease_seconds: Silence after which a holder loses its turn.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        options: RunOptions,
        topology: str,
        settings: str,
        links: Links,
        shelf: Shelf,
        lease_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.options = options
        self._clock = clock
        self._topology = topology
        self._settings = settings
        self._links = links
        self._shelf = shelf
        self._addresses: dict[str, str] = {}
        self.rota = Rota(
            options.members,
            order_of(options.order),
            options.quota,
            Record(),
            lease_seconds,
            options.absence_seconds,
        )

    @property
    def name(self) -> str:
        """Of the run, as the roster has it."""
        return self.options.rosters[-1].run

    def begin(self, state: Callable[[], Bundle]) -> None:
        """Goes on from the last commit; a new run keeps the state that it begins with as one."""
        found = self._shelf.latest()
        if found is None:
            self._keep(Record(), "", state(), 0)
        else:
            self.rota.go_on_from(self._record(found[2]))

    def latest(self) -> tuple[Bundle, dict[str, Any]]:
        """The state of the last commit.

        Raises:
            CorruptState: It is damaged, and so are those before it.
            Refused: An older one is all that is left, which the members would not accept.
        """
        _, bundle, metadata = self._shelf.latest() or (None, {}, {})
        if not metadata or self._record(metadata).number < self.rota.record.number:
            raise Refused("The newest commit on the server's disk is damaged. Restore its folder.")
        return bundle, metadata

    def ask(self, member: str, request: pb.TurnRequest) -> pb.TurnReply:
        """Gives the turn, with what its holder has to know; or tells whose it is."""
        self.rota.check_member(member)
        if len(request.address) > _MOST_CHARACTERS:
            raise ProtocolError("A member's address is `host:port`, and this one is longer than any.")
        if request.address:
            # A member that leaves, or asks for more links, still offers its envelopes.
            self._addresses[member] = request.address
        if request.leaves:
            self.rota.leave(member)
            return pb.TurnReply(commits=self._commits())
        if request.looks:
            return self._told(member, request)
        if not self._can_open(member):
            return self._wait(Waiting("", False, 0, 0.0, 0.0))
        answer = self.rota.ask(member, self._clock())
        if isinstance(answer, Waiting):
            return self._wait(answer)
        reply = self._told(member, request)
        reply.turn, reply.used = answer.turn, answer.used
        return reply

    def renew(self, member: str, turn: int) -> None:
        """The holder has said something.

        Raises:
            TurnLost: It is not the holder any more.
        """
        self.rota.renew(member, turn, self._clock())

    def turn_of(self, member: str) -> int:
        """The turn that a member has been granted.

        Raises:
            TurnLost: None.
        """
        return self.rota.turn_of(member, self._clock())

    def commit(
        self, member: str, turn: int, commit: pb.Commit, state: Callable[[], Bundle], version: int
    ) -> int:
        """Makes what has been done since the last commit last, and returns the commit's number.

        Args:
            member: Who asks for it.
            turn: Its turn.
            commit: What it sent.
            state: Reads the body's.
            version: The body's updates.

        Raises:
            EnvelopeRefused: The link does not go on from the last one.
            StoreFull: No room on the disk; the last commit stays.
            TurnLost: It is not the member's turn.
        """
        record = self.rota.record
        link = Link.read(commit.link)
        if record.number >= 0 and link.digest == self._links.get(record.number).digest:
            return record.number  # The reply was lost, and not the commit.
        self._check(link, member, turn, version)
        if not 0 <= commit.used < math.inf:
            raise ProtocolError("What the commit says of its turn's use is none that a client writes.")
        away = self.rota.passed_over()
        after = record.after(turn, member, ended=commit.ends, used=commit.used, away=away)
        self._write(after, link, state, version)
        self.rota.committed(after, self._clock())
        return after.number

    def _write(self, record: Record, link: Link, state: Callable[[], Bundle], version: int) -> None:
        try:
            self._links.put(link)
            self._keep(record, link.digest, state(), version)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise StoreFull(
                "The disk of the compute server is full: this commit does not last, and those before it "
                "stay. Make room there; members that wait go on by themselves."
            ) from None

    def _keep(self, record: Record, head: str, state: Bundle, version: int) -> None:
        metadata = {"topology": self._topology, "run": record.to_json(), "head": head}
        # A clock may be set back between two commits, and numbers never are.
        self._shelf.put(state, version, metadata, nonce=record.number + 1)

    def _record(self, metadata: dict[str, Any]) -> Record:
        record = Record.from_json(metadata["run"])
        if metadata["head"] != (self._links.get(record.number).digest if record.number >= 0 else ""):
            raise Refused("A commit on the server's disk and its link do not belong together. Restore both.")
        return record

    def _check(self, link: Link, member: str, turn: int, version: int) -> None:
        record, header = self.rota.record, link.header
        before = [self._links.get(record.number)] if record.number >= 0 else []
        pin = Pin.of(before[0]) if before else None
        verify_chain([*before, link], pin, self.options.rosters, self.name, self._topology, self._settings)
        said = (header.sender, header.turn, header.version, header.roster_epoch)
        if said != (member, turn, version, self.options.rosters[-1].epoch):
            raise TurnLost(
                f"The commit says sender {said[0]!r}, turn {said[1]}, update {said[2]}, epoch {said[3]}; "
                f"it is {member!r}'s turn {turn}, update {version}, epoch {self.options.rosters[-1].epoch}. "
                "Take the newest roster file, and ask for the turn again."
            )

    def _can_open(self, member: str) -> bool:
        """Whether the newest envelope was sealed to a member, who may have been added since."""
        number = self.rota.record.number
        if number < 0:
            return True
        epoch = self._links.get(number).header.roster_epoch
        members = next(each.members for each in self.options.rosters if each.epoch == epoch)
        keys = {each.name: each for each in self.options.rosters[-1].members}
        return keys.get(member) in members

    def _told(self, member: str, request: pb.TurnRequest) -> pb.TurnReply:
        last = self.rota.record.number
        links = self._links.page(self._first(request, last), last)
        return pb.TurnReply(
            quota=self.options.quota.amount,
            unit=self.options.quota.unit,
            commit_every=self.options.commit_every,
            links=[link.to_bytes() for link in links],
            more_links=bool(links) and links[-1].header.number < last,
            roster=self.options.roster,
            addresses={name: each for name, each in self._addresses.items() if each},
            commits=last + 1,
        )

    def _first(self, request: pb.TurnRequest, last: int) -> int:
        """All links for a member that trusts none yet; for others, from a state that they can have on."""
        if request.pinned < 0:
            return max(0, request.since)
        needed = request.since if request.since >= 0 else self._links.newest_whole(last)
        return max(0, min(needed, request.pinned))

    def _wait(self, waiting: Waiting) -> pb.TurnReply:
        wire = pb.Waiting(
            member=waiting.member,
            trains=waiting.trains,
            ahead=waiting.ahead,
            seconds=waiting.seconds,
            usual_seconds=waiting.usual_seconds,
        )
        return pb.TurnReply(waiting=wire, commits=self._commits())

    def _commits(self) -> int:
        return self.rota.record.number + 1
