"""Prometheus: what `status` shows and how long steps take, on a port of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.server.observers.census import Census, Party
from keras_split.server.observers.observer import Observer, StepSeen

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_COUNTED: dict[str, tuple[str, Callable[[Party], float]]] = {
    "steps": ("Training steps applied.", lambda party: party.steps),
    "turns": ("Turns begun.", lambda party: party.turns),
    "commits": ("Commits of a run of several data owners.", lambda party: party.commits),
    "rollbacks": (
        "Times that the body was taken back to the last commit, by who began a turn then.",
        lambda party: party.rollbacks,
    ),
    "inferences": ("Inference requests answered.", lambda party: party.inferences),
    "received_bytes": ("Bytes of messages received.", lambda party: party.bytes_received),
    "sent_bytes": ("Bytes of messages sent.", lambda party: party.bytes_sent),
    "waits": ("Times that a turn had to be waited for.", lambda party: party.waits),
    "waited_seconds": ("Seconds waited for turns that came.", lambda party: party.waited_seconds),
}
_GAUGES: dict[str, tuple[str, Callable[[pb.StatusReply], float]]] = {
    "updates": ("Updates that the body has seen.", lambda status: status.version),
    "committed_updates": (
        "Updates that the body had seen at the last commit.",
        lambda status: status.committed_version,
    ),
    "turn": ("Number of the turn that is held; 0 for none.", lambda status: status.turn),
    "lease_seconds": (
        "Seconds until the holder's turn is over if it says nothing more.",
        lambda status: status.lease_seconds,
    ),
}


class Metrics(Observer):
    """Answers Prometheus' scrapes.

    Nearly all values are read when they are asked for, so that a step costs one look at a histogram.

    Args:
        address: Where to listen.
        port: 0 picks one.
        census: Counts by party.
        status: What the server does; None where it serves no model of its own.
    """

    def __init__(self, address: str, port: int, census: Census, status: Callable[[], pb.StatusReply | None]):
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "keras_split_step_seconds",
            "Seconds of a training step on the server, with its update; in label-free steps with its client.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(_Census(census))
        self.registry.register(_Standing(status))
        ProcessCollector(registry=self.registry)
        self._server, self._thread = start_http_server(port, address, self.registry)

    @property
    def port(self) -> int:
        """On which it answers."""
        return int(self._server.server_port)

    def step(self, seen: StepSeen) -> None:
        """Notes how long it took."""
        self._seconds.observe(seen.seconds)

    def close(self) -> None:
        """Answers no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Census(Collector):
    def __init__(self, census: Census):
        self._census = census

    def collect(self) -> Iterable[Any]:
        """For the registry."""
        parties = self._census.parties()
        for name, (what, count) in _COUNTED.items():
            family = CounterMetricFamily(f"keras_split_{name}", what, labels=["member"])
            for party, found in parties.items():
                family.add_metric([party], count(found))
            yield family
        yield _waiting(parties)
        yield _refused(parties)


class _Standing(Collector):
    def __init__(self, status: Callable[[], pb.StatusReply | None]):
        self._status = status

    def collect(self) -> Iterable[Any]:
        """For the registry."""
        status = self._status()
        if status is None:
            return
        for name, (what, value) in _GAUGES.items():
            yield GaugeMetricFamily(f"keras_split_{name}", what, value=value(status))
        holder = GaugeMetricFamily("keras_split_holder", "1 for the member that trains.", labels=["member"])
        for member in status.members:
            holder.add_metric([member.name], member.state == "trains")
        yield holder


def _waiting(parties: dict[str, Party]) -> Any:
    what = "For how long a member has been waiting for its turn."
    family = GaugeMetricFamily("keras_split_waiting_seconds", what, labels=["member"])
    now = time.monotonic()
    for party, found in parties.items():
        family.add_metric([party], found.waiting_seconds(now))
    return family


def _refused(parties: dict[str, Party]) -> Any:
    what = "Calls that were refused, by the class of the error."
    family = CounterMetricFamily("keras_split_refused_calls", what, labels=["member", "error"])
    for party, found in parties.items():
        for error, count in found.refusals.items():
            family.add_metric([party, error], count)
    return family
