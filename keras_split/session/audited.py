"""A session that leaves a trace of what it asked for, and of what crossed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.audit import AuditLog
from keras_split.errors import SplitError
from keras_split.segment import Output
from keras_split.session.joined import Joined
from keras_split.session.prepared import Exchange, Prepared
from keras_split.session.session import Session
from keras_split.state import Ticket
from keras_split.transport import Credentials


class AuditedSession(Session):
    """Writes a line for each event; for the steps of a turn and the inferences of a while one line together.

    Args:
        audit: Where to.
        target: `host:port`.
        given: As `Session`.
    """

    def __init__(self, audit: AuditLog, target: str, *given: Any, **named: Any):
        super().__init__(target, *given, **named)
        self._audit = audit
        self._told = (0, 0, 0)
        self._described: set[str] = set()
        self._inferences = 0
        self._counting = threading.Lock()

    def join(self, settings: dict[str, Any] | None = None) -> Joined:
        """Says hello."""
        with self._refusals("Join"):
            joined = super().join(settings)
        self.tell("joined", {"topology": joined.digest, "update": joined.version})
        return joined

    def prepare(self, exchange: Exchange) -> Prepared:
        """Compiles an exchange on the server."""
        with self._refusals("Prepare"):
            prepared = super().prepare(exchange)
        if prepared.signature in self._described:
            return prepared
        self._described.add(prepared.signature)
        facts = {
            "mode": exchange.mode,
            "signature": prepared.signature,
            "sends": _described(exchange.request("", "").inputs),
            "receives": [_output(each) for each in prepared.outputs],
        }
        self.tell("prepared", facts)
        return prepared

    def step(
        self,
        prepared: Prepared,
        tensors: Sequence[np.ndarray],
        learning_rate: float | None,
        iterations: int | None = None,
    ) -> list[np.ndarray]:
        """One training step."""
        with self._refusals("Train"):
            return super().step(prepared, tensors, learning_rate, iterations)

    def forward(
        self,
        prepared: Prepared,
        tensors: Sequence[np.ndarray],
        learning_rate: float | None,
        iterations: int | None = None,
    ) -> list[np.ndarray]:
        """The first half of a label-free step."""
        with self._refusals("Train"):
            return super().forward(prepared, tensors, learning_rate, iterations)

    def backward(self, gradients: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The second half."""
        with self._refusals("Train"):
            return super().backward(gradients)

    def settle(self, measures: Sequence[np.ndarray]) -> None:
        """The end of a step whose optimizer looks at all gradients."""
        with self._refusals("Train"):
            super().settle(measures)

    def infer(self, prepared: Prepared, tensors: Sequence[np.ndarray], combine: bool) -> list[np.ndarray]:
        """One inference."""
        with self._refusals("Infer"):
            outputs = super().infer(prepared, tensors, combine)
        with self._counting:
            self._inferences += 1
        return outputs

    def snapshot(self) -> Ticket:
        """Has the server keep its state."""
        with self._refusals("Train"):
            ticket = super().snapshot()
        self.trained()
        self.tell("snapshot", {"update": ticket.version}, durable=True)
        return ticket

    def restore(self, ticket: Ticket, *, weights_only: bool) -> None:
        """Takes the server back to a snapshot."""
        self.trained()
        with self._refusals("Train"):
            super().restore(ticket, weights_only=weights_only)
        self.tell("restored", {"update": ticket.version})
        self._told = self._now()

    def take_turn(self, member: str, version: int) -> None:
        """Begins a turn that has been granted."""
        with self._refusals("Train"):
            super().take_turn(member, version)
        self._told = self._now()

    def commit(self, commit: pb.Commit) -> int:
        """Makes what has been trained last."""
        self.trained()
        with self._refusals("Commit"):
            return super().commit(commit)

    def ask_for_turn(self, request: pb.TurnRequest) -> pb.TurnReply:
        """Asks whose turn it is."""
        with self._refusals("Turn"):
            return super().ask_for_turn(request)

    def end_turn(self) -> None:
        """Lets others train."""
        super().end_turn()
        self.trained()

    def end_inference(self) -> None:
        """Frees the server's thread."""
        super().end_inference()
        with self._counting:
            count, self._inferences = self._inferences, 0
        if count:
            self.tell("inferred", {"requests": count})

    def close(self) -> None:
        """Ends everything, the log as well."""
        super().close()
        self._audit.close()

    def trained(self) -> None:
        """Tells of the steps since the last time, and of all bytes since then."""
        (before, received, sent), now = self._told, self._now()
        if now[0] > before:
            facts = {
                "first_update": before,
                "update": now[0],
                "steps": now[0] - before,
                "bytes_received": now[1] - received,
                "bytes_sent": now[2] - sent,
            }
            self.tell("trained", facts)
        self._told = now

    def tell(self, event: str, facts: dict[str, Any], *, durable: bool = False) -> None:
        """Writes a line; the party is the server that was asked."""
        self._audit.append(event, self.target, facts, durable=durable)

    def _now(self) -> tuple[int, int, int]:
        return self.version, self.meter.received, self.meter.sent

    @contextlib.contextmanager
    def _refusals(self, call: str) -> Iterator[None]:
        try:
            yield
        except SplitError as error:
            self.tell("refused", {"call": call, "error": type(error).__name__})
            raise


def _described(specs: Sequence[pb.TensorSpec]) -> list[dict[str, Any]]:
    return [
        {
            "role": pb.Role.Name(spec.role).lower(),
            "dtype": pb.DType.Name(spec.dtype).lower(),
            "shape": [None if size == -1 else size for size in spec.dims],
        }
        for spec in specs
    ]


def _output(spec: Output) -> dict[str, Any]:
    return {"role": spec.role, "dtype": spec.dtype, "shape": list(spec.shape or ())}


def open_session(
    target: str, credentials: Credentials | None, audit: AuditLog | None, **named: Any
) -> Session:
    """A session, which leaves a trace if there is an audit log.

    Args:
        target: `host:port`.
        credentials: As `Session`.
        audit: Where to; None for no trace.
        named: As `Session`.
    """
    if audit is None:
        return Session(target, credentials, **named)
    return AuditedSession(audit, target, credentials, **named)
