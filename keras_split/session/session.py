"""One client's connection to one server."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits
from keras_split.errors import ProtocolError, ServerBusy
from keras_split.session.inference import Inference
from keras_split.session.joined import Joined
from keras_split.session.position import Position
from keras_split.session.prepared import Exchange, Prepared
from keras_split.session.remote import Remote
from keras_split.session.steps import Steps
from keras_split.session.timeouts import Timeouts
from keras_split.session.turn import Turn
from keras_split.state import Ticket
from keras_split.transport import Credentials, Meter


class Session:
    """Joins, prepares, trains and infers; one per SplitModel.

    Args:
        target: `host:port`.
        credentials: This client's certificate and authority; None with `insecure`.
        insecure: Without TLS, on loopback only.
        timeouts: Deadlines.
        limits: Ceilings on replies.
        advice: What the user can do when the server that holds this session's body is gone.
    """

    def __init__(
        self,
        target: str,
        credentials: Credentials | None = None,
        *,
        insecure: bool = False,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        advice: str = "",
    ):
        self._remote = Remote(
            target,
            credentials,
            insecure=insecure,
            timeouts=timeouts or Timeouts(),
            limits=limits or Limits(),
            advice=advice,
        )
        self._position = Position()
        self._turn = Turn(self._remote, self._position)
        self._steps = Steps(self._remote, self._turn, self._position)
        self._inference = Inference(self._remote, self._position)

    @property
    def target(self) -> str:
        """`host:port`."""
        return self._remote.target

    @property
    def version(self) -> int:
        """Updates that this half has seen."""
        return self._position.version

    @property
    def meter(self) -> Meter:
        """Bytes of all calls."""
        return self._remote.meter

    def __repr__(self) -> str:
        return f"<Session with {self.target}>"

    def continue_from(self, other: Session) -> None:
        """The half that this session is for has seen the updates of another session."""
        self._position.go_to(other._position.version, other._position.lineage)

    def host(self, body: dict[str, Any], state: Sequence[np.ndarray], folder: str) -> None:
        """Places a body on a server that accepts it, where it stays until this session is closed."""
        self._remote.host(body, state, folder)

    def join(self, settings: dict[str, Any] | None = None) -> Joined:
        """Says hello; with settings, to compile the body anew.

        Raises:
            VersionMismatch: The programs cannot work together.
            TopologyError: The topology is not what its digest says.
            ProtocolError: A reply that makes no sense.
        """
        return self._remote.join(settings)

    def prepare(self, exchange: Exchange) -> Prepared:
        """Compiles an exchange on the server."""
        return self._remote.prepare(exchange)

    def step(
        self,
        prepared: Prepared,
        tensors: Sequence[np.ndarray],
        learning_rate: float | None,
        iterations: int | None = None,
    ) -> list[np.ndarray]:
        """One training step, exactly once, also over a connection that breaks in between.

        Args:
            prepared: A `"train"` exchange in which labels are shared.
            tensors: Frontier, labels and sample weights.
            learning_rate: The client's; None where both sides follow the same schedule.
            iterations: What the client's optimizer has counted; None where the server's has as well.

        Returns:
            What was prepared for.
        """
        return self._steps.whole(prepared, tensors, learning_rate, iterations)

    def forward(
        self,
        prepared: Prepared,
        tensors: Sequence[np.ndarray],
        learning_rate: float | None,
        iterations: int | None = None,
    ) -> list[np.ndarray]:
        """The first half of a label-free step: the body's outputs and loss terms.

        Args:
            prepared: A `"train"` exchange without labels.
            tensors: Frontier.
            learning_rate: The client's; None where both sides follow the same schedule.
            iterations: As in `step`.
        """
        return self._steps.forward(prepared, tensors, learning_rate, iterations)

    def backward(self, gradients: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The second half: the cut gradients, for the gradients of the body's outputs."""
        return self._steps.backward(gradients)

    def settle(self, measures: Sequence[np.ndarray]) -> None:
        """The end of a step whose optimizer looks at all gradients: what was measured of the client's."""
        self._steps.settle(measures)

    def infer(self, prepared: Prepared, tensors: Sequence[np.ndarray], combine: bool) -> list[np.ndarray]:
        """One inference; `combine` allows the server to compute it together with others'."""
        return self._inference.infer(prepared, tensors, combine)

    def snapshot(self) -> Ticket:
        """Has the server keep its state."""
        ticket = self._turn.ask(pb.Header(snapshot=pb.Snapshot()), "ticket").header.ticket
        return Ticket(ticket.version, ticket.nonce)

    def restore(self, ticket: Ticket, *, weights_only: bool) -> None:
        """Takes the server back to a snapshot."""
        wire = pb.Ticket(version=ticket.version, nonce=ticket.nonce)
        header = pb.Header(restore=pb.Restore(ticket=wire, weights_only=weights_only))
        begun = self._turn.ask(header, "begun").header.begun
        self._position.go_to(begun.version, begun.lineage)

    def last_commit(self) -> Ticket | None:
        """Of the run of several data owners; None where the server has no run."""
        status = self.status()
        return Ticket(status.committed_version, status.commits) if status.run else None

    def is_at(self, commit: Ticket) -> None:
        """This half has gone to a commit of the run, without a turn."""
        self._position.go_to(commit.version)

    def finalize(self) -> None:
        """What the server's optimizer does at the end of `fit`."""
        self._turn.ask(pb.Header(finalize=pb.Finalize()), "begun")

    def reset_states(self, layer: str = "") -> None:
        """Takes a stateful layer of the body back to zeros, or all of them."""
        self._turn.ask(pb.Header(reset_states=pb.ResetStates(layer=layer)), "begun")

    def swap_averages(self, *, keeps: bool) -> None:
        """What `SwapEMAWeights` does to the server's half; the turn goes on until `end_turn`.

        Args:
            keeps: The averages become what the weights are, in place of changing places with them.
        """
        header = pb.Header(swap=pb.Swap(number=secrets.randbits(64) or 1, keeps=keeps))
        begun = self._turn.ask(header, "begun", keeps_turn=True).header.begun
        self._position.go_to(begun.version, begun.lineage)

    @property
    def has_turn(self) -> bool:
        """Whether this client is in a turn."""
        return self._turn.stream is not None

    def inspect(self, *, digests_only: bool = False, model_only: bool = False) -> dict[str, Any]:
        """The variables of a hosted body by name, or their digests; the optimizer's may be left out."""
        header = pb.Header(inspect=pb.Inspect(digests_only=digests_only, model_only=model_only))
        message = self._turn.ask(header, "inspected")
        inspected = message.header.inspected
        values = inspected.digests if digests_only else message.tensors
        if len(inspected.names) != len(values):
            raise ProtocolError(
                f"{self.target} sent {len(values)} values of {len(inspected.names)} variables."
            )
        return dict(zip(inspected.names, values, strict=True))

    def ask_for_turn(self, request: pb.TurnRequest) -> pb.TurnReply:
        """Asks whose turn it is in a run of several data owners, and takes it if it is this one's."""
        request.model, request.topology_digest = self._remote.model, self._remote.digest
        seconds = self._remote.timeouts.join_seconds
        # Whoever waits among many must not be thrown out since all of them ask at this moment.
        return self._remote.persistently(lambda: self._remote.call("Turn", request, seconds), ServerBusy)

    def take_turn(self, member: str, version: int) -> None:
        """Begins a turn that has been granted, at the last commit of the run."""
        self._turn.take(member, version)

    def commit(self, commit: pb.Commit) -> int:
        """Makes what has been trained since the last commit last; returns the commit's number."""
        return self._turn.ask(pb.Header(commit=commit), "committed").header.committed.number

    def status(self) -> pb.StatusReply:
        """What the server does at the moment."""
        request = pb.StatusRequest(model=self._remote.model)
        return self._remote.call("Status", request, self._remote.timeouts.join_seconds)

    def end_turn(self) -> None:
        """Lets others train."""
        self._turn.end()

    def end_inference(self) -> None:
        """Frees the server's thread that waits for further requests."""
        self._inference.end()

    def close(self) -> None:
        """Ends everything; the session can't be used any more."""
        self.end_turn()
        self.end_inference()
        self._remote.close()
