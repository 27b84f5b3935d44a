"""One client's connection to one server."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits, Message
from keras_split.digest import digest_of
from keras_split.errors import ConnectionLost, ProtocolError, SplitError, TopologyError
from keras_split.peer import check_peer, this_peer
from keras_split.segment import Output
from keras_split.session.conversation import Conversation
from keras_split.session.joined import Joined
from keras_split.session.line import Line
from keras_split.session.open_step import OpenStep
from keras_split.session.prepared import Exchange, Prepared
from keras_split.session.timeouts import Timeouts
from keras_split.state import Ticket
from keras_split.transport import Credentials, Meter

# Between two attempts to connect again.
_PAUSE_SECONDS = 0.2


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
        self.target = target
        self.version = 0
        self._lineage = 0
        self._line = Line(
            target,
            credentials,
            insecure=insecure,
            limits=limits or Limits(),
            when_opened=self._forget_streams,
        )
        self._timeouts = timeouts or Timeouts()
        self._advice = advice
        self._client = secrets.token_hex(8)
        self._model = ""
        self._digest = ""
        self._training: Conversation | None = None
        self._inferring: Conversation | None = None
        self._hosting: Conversation | None = None
        self._turn = 0
        self._warned = False
        self._known: set[str] = set()
        self._infer_lock = threading.Lock()
        self._opened: OpenStep | None = None

    @property
    def meter(self) -> Meter:
        """Bytes of all calls."""
        return self._line.meter

    def __repr__(self) -> str:
        return f"<Session with {self.target}>"

    def continue_from(self, other: Session) -> None:
        """The half that this session is for has seen the updates of another session."""
        self.version, self._lineage = other.version, other._lineage

    def host(self, body: dict[str, Any], state: Sequence[np.ndarray], folder: str) -> None:
        """Places a body on a server that accepts it, where it stays until this session is closed."""
        self._hosting = self._converse("Host")
        request = pb.Host(body_json=json.dumps(body), checkpoint_directory=folder)
        reply = self._hosting.ask(pb.Header(host=request), state, ("hosted",), self._timeouts.state_seconds)
        self._model = reply.header.hosted.model

    def join(self, settings: dict[str, Any] | None = None) -> Joined:
        """Says hello; with settings, to compile the body anew.

        Raises:
            VersionMismatch: The programs cannot work together.
            TopologyError: The topology is not what its digest says.
        """
        request = pb.JoinRequest(
            peer=this_peer(),
            model=self._model,
            settings_json=json.dumps(settings) if settings else "",
        )
        reply = self._call("Join", request, self._timeouts.join_seconds)
        check_peer(reply.peer, "server")
        topology = json.loads(reply.topology_json)
        self._digest = digest_of(topology)
        if self._digest != reply.topology_digest:
            raise TopologyError(f"{self.target} sent a topology that does not match its digest.")
        return Joined(
            topology=topology,
            digest=self._digest,
            settings=json.loads(reply.settings_json) if reply.settings_json else None,
            accepts_settings=reply.accepts_settings,
            body=json.loads(reply.body_json),
            version=reply.version,
        )

    def prepare(self, exchange: Exchange) -> Prepared:
        """Compiles an exchange on the server."""
        request = exchange.request(self._model, self._digest)
        reply = self._call("Prepare", request, self._timeouts.prepare_seconds)
        self._known.add(reply.signature)
        return Prepared.of(reply, exchange)

    def step(
        self, prepared: Prepared, tensors: Sequence[np.ndarray], learning_rate: float | None
    ) -> list[np.ndarray]:
        """One training step, exactly once, also over a connection that breaks in between.

        Args:
            prepared: A `"train"` exchange in which labels are shared.
            tensors: Frontier, labels and sample weights.
            learning_rate: The client's; None where both sides follow the same schedule.

        Returns:
            What was prepared for.
        """
        opened = self._open_step(prepared, tensors, learning_rate)
        message = self._persistently(lambda: self._ask_step(opened, "stepped"))
        return self._stepped(message, prepared, prepared.outputs)

    def forward(
        self, prepared: Prepared, tensors: Sequence[np.ndarray], learning_rate: float | None
    ) -> list[np.ndarray]:
        """The first half of a label-free step: the body's outputs and loss terms.

        Args:
            prepared: A `"train"` exchange without labels.
            tensors: Frontier.
            learning_rate: The client's; None where both sides follow the same schedule.
        """
        self._opened = opened = self._open_step(prepared, tensors, learning_rate)
        message = self._persistently(lambda: self._ask_step(opened, "forwarded"))
        return prepared.check(message.tensors, self.target, prepared.forwarded)

    def backward(self, gradients: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The second half: the cut gradients, for the gradients of the body's outputs.

        If the connection broke in between, the server has forgotten the first half, which is sent
        again; it starts from the same state, so that what comes is the same.
        """
        opened, self._opened = self._opened, None
        if opened is None:
            raise ProtocolError("A step's gradients come after its forward pass.")
        step = opened
        message = self._persistently(lambda: self._ask_backward(step, gradients))
        return self._stepped(message, step.prepared, step.prepared.cut_gradients)

    def infer(self, prepared: Prepared, tensors: Sequence[np.ndarray], combine: bool) -> list[np.ndarray]:
        """One inference; `combine` allows the server to compute it together with others'."""
        infer = pb.Infer(model=self._model, signature=prepared.signature, combine=combine)
        # Keras lets several threads predict with one model, and a stream answers in order.
        with self._infer_lock:
            message = self._persistently(lambda: self._ask_inference(prepared, infer, tensors))
        self._compare(message.header.inferred.version)
        return prepared.check(message.tensors, self.target, prepared.outputs)

    def snapshot(self) -> Ticket:
        """Has the server keep its state."""
        message = self._state_request(pb.Header(snapshot=pb.Snapshot()), "ticket")
        return Ticket(message.header.ticket.version, message.header.ticket.nonce)

    def restore(self, ticket: Ticket, *, weights_only: bool) -> None:
        """Takes the server back to a snapshot."""
        wire = pb.Ticket(version=ticket.version, nonce=ticket.nonce)
        header = pb.Header(restore=pb.Restore(ticket=wire, weights_only=weights_only))
        begun = self._state_request(header, "begun").header.begun
        self.version, self._lineage = begun.version, begun.lineage

    def finalize(self) -> None:
        """What the server's optimizer does at the end of `fit`."""
        self._state_request(pb.Header(finalize=pb.Finalize()), "begun")

    def inspect(self, *, digests_only: bool = False) -> dict[str, Any]:
        """The variables of a hosted body by name, or their digests."""
        header = pb.Header(inspect=pb.Inspect(digests_only=digests_only))
        message = self._state_request(header, "inspected")
        inspected = message.header.inspected
        values = inspected.digests if digests_only else message.tensors
        return dict(zip(inspected.names, values, strict=True))

    def status(self) -> pb.StatusReply:
        """What the server does at the moment."""
        request = pb.StatusRequest(model=self._model)
        return self._call("Status", request, self._timeouts.join_seconds)

    def end_turn(self) -> None:
        """Lets others train."""
        training, self._training, self._turn = self._training, None, 0
        if training is not None:
            training.close()

    def end_inference(self) -> None:
        """Frees the server's thread that waits for further requests."""
        with self._infer_lock:
            inferring, self._inferring = self._inferring, None
            if inferring is not None:
                inferring.close()

    def close(self) -> None:
        """Ends everything; the session can't be used any more."""
        self.end_turn()
        self.end_inference()
        if self._hosting is not None:
            self._hosting.close()
        self._line.close()

    def _open_step(
        self, prepared: Prepared, tensors: Sequence[np.ndarray], learning_rate: float | None
    ) -> OpenStep:
        header = pb.Step(
            signature=prepared.signature,
            version=self.version,
            learning_rate=learning_rate,
            step=secrets.randbits(64) or 1,
        )
        return OpenStep(prepared, header, tensors)

    def _stepped(self, message: Message, prepared: Prepared, wanted: Sequence[Output]) -> list[np.ndarray]:
        values = prepared.check(message.tensors, self.target, wanted)
        if message.header.stepped.version != self.version + 1:
            raise ProtocolError(f"{self.target} answered a step without counting it.")
        self.version += 1
        return values

    def _ask_step(self, opened: OpenStep, *replies: str) -> Message:
        with self._in_turn() as training:
            self._prepare_again(opened.prepared)
            opened.header.lineage = self._lineage
            header = pb.Header(step=opened.header)
            message = training.ask(header, opened.tensors, replies, self._timeouts.step_seconds)
            opened.asked_in = training
            return message

    def _ask_backward(self, opened: OpenStep, gradients: Sequence[np.ndarray]) -> Message:
        if opened.asked_in is not self._training or self._training is None:
            message = self._ask_step(opened, "forwarded", "stepped")
            if message.header.WhichOneof("content") == "stepped":
                return message  # It had been applied, and only the reply was lost.
        with self._in_turn() as training:
            header = pb.Header(backward=pb.Backward(step=opened.header.step))
            return training.ask(header, gradients, ("stepped",), self._timeouts.step_seconds)

    def _ask_inference(self, prepared: Prepared, infer: pb.Infer, tensors: Sequence[np.ndarray]) -> Message:
        if self._inferring is None:
            self._inferring = self._converse("Infer")
        try:
            self._prepare_again(prepared)
            header = pb.Header(infer=infer)
            return self._inferring.ask(header, tensors, ("inferred",), self._timeouts.step_seconds)
        except SplitError as error:
            self._inferring = None
            if isinstance(error, ConnectionLost):
                self._hang_up()
            raise

    def _prepare_again(self, prepared: Prepared) -> None:
        """A graph that was traced once outlives the server that it was traced with."""
        if prepared.signature not in self._known:
            self.prepare(prepared.exchange)

    def _compare(self, version: int) -> None:
        if version != self.version and not self._warned:
            self._warned = True
            warnings.warn(
                f"The server's half has seen {version} updates and this one {self.version}, since it "
                "is being trained elsewhere. Predictions mix the two; load the matching half for exact "
                "ones.",
                stacklevel=2,
            )

    def _state_request(self, header: pb.Header, reply: str) -> Message:
        """Inside the turn if there is one, else in a turn of its own."""
        keeps_turn = self._turn != 0
        try:
            return self._persistently(lambda: self._ask_state(header, reply))
        finally:
            if not keeps_turn:
                self.end_turn()

    def _ask_state(self, header: pb.Header, reply: str) -> Message:
        with self._in_turn() as training:
            return training.ask(header, (), (reply,), self._timeouts.state_seconds)

    def _persistently(self, ask: Callable[[], Message]) -> Message:
        """Asks again, over a new connection, for a while after one broke."""
        give_up = 0.0
        while True:
            try:
                return ask()
            except ConnectionLost:
                # Counted from the loss: a long step must leave time to ask again.
                now = time.monotonic()
                give_up = give_up or now + self._timeouts.reconnect_seconds
                if now > give_up:
                    raise
                time.sleep(_PAUSE_SECONDS)

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[Conversation]:
        """The turn's stream, which is of no use any more once something went wrong."""
        try:
            yield self._enter_turn()
        except ConnectionLost as error:
            self._training = None
            self._hang_up()
            raise self._with_advice(error) from None
        except SplitError:
            self._training = None
            raise

    def _with_advice(self, error: ConnectionLost) -> ConnectionLost:
        if self._hosting is None:
            return error
        return ConnectionLost(f"{error} {self._advice}")

    def _enter_turn(self) -> Conversation:
        if self._training is None:
            self._training = self._begin()
        return self._training

    def _begin(self) -> Conversation:
        conversation = self._converse("Train")
        begin = pb.Begin(
            model=self._model, client=self._client, topology_digest=self._digest, turn=self._turn
        )
        header = pb.Header(begin=begin)
        message = conversation.ask(header, (), ("begun",), self._timeouts.join_seconds)
        begun = message.header.begun
        self._turn = begun.turn
        if not self._lineage and begun.version == self.version:
            self._lineage = begun.lineage  # A new client of a new server: both at the beginning.
        return conversation

    def _converse(self, name: str) -> Conversation:
        self._known.clear()  # It may be another process that answers from now on.
        return self._line.converse(name)

    def _call(self, name: str, request: Any, seconds: float) -> Any:
        try:
            return self._line.call(name, request, seconds)
        except ConnectionLost:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        # A hosted body goes with its connection, so that one is held for as long as there is hope.
        if self._hosting is None:
            self._line.close()

    def _forget_streams(self) -> None:
        self._training = self._inferring = self._hosting = None
