"""A run of several data owners on one body: who has the turn, what it is told, and what it commits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Link, Pin, verify_chain
from keras_split.errors import DamagedEnvelope, ProtocolError, Refused, StoreFull, TurnLost
from keras_split.server.absences import Absences
from keras_split.server.commits import Commits
from keras_split.server.envelopes import Envelopes
from keras_split.server.links import Links
from keras_split.server.openers import check_openable, openers
from keras_split.server.run_options import RunOptions
from keras_split.state import Bundle, Shelf
from keras_split.turns import Record, Rota, Waiting, order_of

# Others get a member's address: a name of the DNS and a port.
_MOST_CHARACTERS = 300
# A reply is one frame, of which a roster may take the most. Further links come when they are asked for.
_LINKS_BESIDE_ROSTER = 32
BYTES_BESIDE_ROSTER = 512 << 10


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
        envelopes: Those that this server keeps; None for a run whose members have another way.
        absences: Where it stands who has left; None to wait for them after a restart.
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
        envelopes: Envelopes | None = None,
        absences: Absences | None = None,
    ):
        self.options = options
        self.envelopes = envelopes
        self._absences = absences
        self._clock = clock
        self._topology = topology
        self._settings = settings
        self._links = links
        self._commits = Commits(topology, links, shelf)
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
        """Goes on from the last commit; a new run keeps the state that it begins with as one.

        Raises:
            Refused: The run's folder is damaged, or not all of it is there; or no member could go on.
        """
        found = self._commits.newest()
        if found is None:
            self._commits.keep(Record(), None, state(), 0, {})
            return
        if found.record.number >= 0:
            check_openable(self._links.get(found.record.number), self.options.rosters)
        away = self._absences.since(found.record) if self._absences else found.record.away
        self.rota.go_on_from(replace(found.record, away=away))
        # Who has made the newest envelope may be up, and have no reason to ask for another turn.
        self._addresses = dict(found.metadata["addresses"])

    def latest(self) -> tuple[Bundle, dict[str, Any]]:
        """The state of the last commit.

        Raises:
            Refused: It is damaged, or another is all that is left, which the members would not accept.
        """
        found = self._commits.newest()
        if found is None or found.record.number != self.rota.record.number:
            raise Refused(
                "The newest commit on the server's disk is not the run's last one. Start the server anew; if "
                "members refuse its history then, restore its folder from the newest backup."
            )
        return found.state, found.metadata

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
            self._note_absences()
            return pb.TurnReply(commits=self._count())
        if request.looks:
            return self._told(member, request)
        able = self._openers()
        if member not in able:
            return self._wait(self._before(able))
        answer = self.rota.ask(member, self._clock())
        self._note_absences()
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
            StoreFull: No room on the disk.
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
        if self.envelopes is not None and link.header.kind != "delta":
            self.envelopes.drop_outdated(after.number)
        return after.number

    def _note_absences(self) -> None:
        if self._absences is not None:
            self._absences.note(self.rota.record, self.rota.passed_over)

    def _write(self, record: Record, link: Link, state: Callable[[], Bundle], version: int) -> None:
        try:
            self._commits.keep(record, link, state(), version, dict(self._addresses))
        except (OSError, StoreFull):
            # It may have failed behind the rename. What is on the disk is what a restart would go on from.
            found = self._commits.newest()
            if found is not None and found.record.number == record.number:
                self.rota.committed(record, self._clock())
            raise

    def _check(self, link: Link, member: str, turn: int, version: int) -> None:
        record, header = self.rota.record, link.header
        before = [self._links.get(record.number)] if record.number >= 0 else []
        pin = Pin.of(before[0]) if before else None
        verify_chain([*before, link], pin, self.options.rosters, self.name, self._topology, self._settings)
        if header.base != (before[0].header.result if before else ""):
            raise DamagedEnvelope(
                f"Link {header.number} goes on from another client state than that of the link before, so "
                "that nobody could use it. Nothing was committed: start this member again, and it takes the "
                "run's newest state."
            )
        said = (header.sender, header.turn, header.version, header.roster_epoch)
        if said != (member, turn, version, self.options.rosters[-1].epoch):
            raise TurnLost(
                f"The commit says sender {said[0]!r}, turn {said[1]}, update {said[2]}, epoch {said[3]}; "
                f"it is {member!r}'s turn {turn}, update {version}, epoch {self.options.rosters[-1].epoch}. "
                "Take the newest roster file, and ask for the turn again."
            )

    def _openers(self) -> Sequence[str]:
        number = self.rota.record.number
        return openers(self._links.get(number), self.options.rosters) if number >= 0 else self.rota.members

    def _before(self, able: Sequence[str]) -> Waiting:
        """For a member who cannot open the newest envelope: whose turn must come first."""
        holder, away = self.rota.holder(self._clock()), self.rota.passed_over()
        here = [each for each in able if each not in away]
        return Waiting(holder or [*here, *able][0], bool(holder), 1, 0.0, 0.0)

    def _told(self, member: str, request: pb.TurnRequest) -> pb.TurnReply:
        last = self.rota.record.number
        links = self._links.page(self._first(request, last), last)
        roster = "" if request.epochs == len(self.options.rosters) else self.options.roster
        if roster:
            links = links[:_LINKS_BESIDE_ROSTER]
        return pb.TurnReply(
            quota=self.options.quota.amount,
            unit=self.options.quota.unit,
            commit_every=self.options.commit_every,
            links=[link.to_bytes() for link in links],
            more_links=bool(links) and links[-1].header.number < last,
            roster=roster,
            addresses=dict(self._addresses),
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
        return pb.TurnReply(waiting=wire, commits=self._count())

    def _count(self) -> int:
        return self.rota.record.number + 1
