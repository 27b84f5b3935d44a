"""What a server does at the moment, for `status`, metrics and the beginning of an audit log."""

from __future__ import annotations

import time
from typing import Any

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.peer import this_peer
from keras_split.server.hosting import Hosting
from keras_split.server.observers import Event
from keras_split.server.observers.census import Census, Party
from keras_split.server.run import Run
from keras_split.server.served import Served
from keras_split.transport import Meter


class Standing:
    """Describes a body, and who trains it.

    Args:
        census: Counts by party.
        meter: Bytes of all calls.
    """

    def __init__(self, census: Census, meter: Meter):
        self._census = census
        self._meter = meter
        self._started = time.monotonic()

    def of_all(self, hosting: Hosting) -> pb.StatusReply | None:
        """Of the model that a server is for; None where clients have bodies of their own."""
        served = [each for each in hosting.all() if not each.owned]
        return self.of(served[0]) if served else None

    def of(self, served: Served) -> pb.StatusReply:
        """Of one body."""
        now = time.monotonic()
        reply = pb.StatusReply(
            model=served.topology["name"],
            cut=_named(served.topology),
            topology_digest=served.digest,
            version=served.turns.version,
            turns=served.counters.turns,
            steps=served.counters.steps,
            inferences=served.counters.inferences,
            bytes_received=self._meter.received,
            bytes_sent=self._meter.sent,
            uptime_seconds=now - self._started,
            strategy=served.place.name,
            peer=this_peer(),
        )
        if served.run is None:
            self._describe_turn(reply, served, now)
        else:
            reply.committed_version = served.committed_version
            self._describe_run(reply, served.run, now)
        return reply

    def _describe_turn(self, reply: pb.StatusReply, served: Served, now: float) -> None:
        reply.trainer = served.turns.holder(now)
        reply.turn, reply.lease_seconds = served.turns.lease(now)
        if served.owned:
            return  # The others' names are not its owner's business.
        for name, party in self._census.parties().items():
            trains = bool(reply.trainer) and name == self._census.trainer
            reply.members.append(_member(name, "trains" if trains else "", party, now))

    def _describe_run(self, reply: pb.StatusReply, run: Run, now: float) -> None:
        reply.run, reply.roster_epoch = run.name, run.options.rosters[-1].epoch
        reply.quota, reply.commits = str(run.options.quota), run.rota.record.number + 1
        reply.turn, reply.lease_seconds = run.rota.lease(now)
        reply.trainer = run.rota.holder(now)
        away, parties = run.rota.passed_over(), self._census.parties()
        for name in run.rota.members:
            party = parties.get(name, Party())
            waits = "waits" if party.waiting_since is not None else ""
            state = "trains" if name == reply.trainer else "away" if name in away else waits
            reply.members.append(_member(name, state, party, now))


def serving(served: Served) -> Event:
    """What a server begins with."""
    facts: dict[str, Any] = {
        "model": served.topology["name"],
        "cut": _named(served.topology),
        "topology": served.digest,
        "update": served.turns.version,
    }
    if served.run is not None:
        facts |= {
            "run": served.run.name,
            "roster_epoch": served.run.options.rosters[-1].epoch,
            "commits": served.run.rota.record.number + 1,
        }
    return Event("serving", facts=facts)


def _named(topology: dict[str, Any]) -> str:
    return " to ".join(", ".join(names) for names in (topology["cut"], topology["second_cut"]) if names)


def _member(name: str, state: str, party: Party, now: float) -> pb.Member:
    return pb.Member(
        name=name,
        state=state,
        turns=party.turns,
        steps=party.steps,
        commits=party.commits,
        bytes_received=party.bytes_received,
        bytes_sent=party.bytes_sent,
        waiting_seconds=party.waiting_seconds(now),
        waited_seconds=party.waited_seconds,
        inferences=party.inferences,
        refusals=sum(party.refusals.values()),
    )
