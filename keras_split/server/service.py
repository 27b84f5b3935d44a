"""The service's calls: look the model up, hand the work on, translate errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

import grpc

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits, Message, pack, unpack
from keras_split.errors import ProtocolError, Refused, TopologyError
from keras_split.peer import check_peer, this_peer
from keras_split.server.hosting import Hosting
from keras_split.server.observers import Watchers
from keras_split.server.observers.calls import CallsSeen
from keras_split.server.observers.inference import InferenceSeen
from keras_split.server.preparation import check_values
from keras_split.server.served import Served
from keras_split.server.standing import Standing
from keras_split.server.training import Training
from keras_split.transport import Meter, caller, reported

_log = logging.getLogger(__name__)


class SplitService:
    """Implements the service of `split.proto`.

    Args:
        hosting: The models.
        limits: Ceilings on what a client may send.
        meter: Bytes of all calls.
        watchers: Who looks on.
    """

    def __init__(self, hosting: Hosting, limits: Limits, meter: Meter, watchers: Watchers | None = None):
        self._hosting = hosting
        self._limits = limits
        self._watchers = watchers or Watchers()
        self._seen = CallsSeen(self._watchers)
        self._status = Standing(self._watchers.census, meter)

    def Join(self, request: pb.JoinRequest, context: grpc.ServicerContext) -> pb.JoinReply:
        """Says hello, and takes settings where the model is the client's."""
        with reported(context):
            check_peer(request.peer, "client")
            served = self._hosting.find(request.model)
            if request.settings_json:
                self._hosting.check_settings(request.settings_json)
                served.settle(request.settings_json)
            self._seen.joined(_member(context, ""), served.digest, served.turns.version)
            return self._welcome(served, request.model)

    def Prepare(self, request: pb.PrepareRequest, context: grpc.ServicerContext) -> pb.PrepareReply:
        """Compiles an exchange."""
        with reported(context):
            reply = self._hosting.find(request.model).prepare(request)
            self._seen.prepared(_member(context, ""), request, reply)
            return reply

    def Train(self, frames: Iterator[pb.Frame], context: grpc.ServicerContext) -> Iterator[pb.Frame]:
        """Holds one turn."""
        with reported(context):
            message = _expect(unpack(frames, self._limits), "begin")
            served = self._hosting.find(message.header.begin.model)
            member = _member(context, message.header.begin.member)
            yield from Training(served, message, member, self._watchers).converse(frames)

    def Turn(self, request: pb.TurnRequest, context: grpc.ServicerContext) -> pb.TurnReply:
        """Gives the turn to a data owner, or tells whose it is."""
        with reported(context):
            served = self._hosting.find(request.model)
            if served.run is None:
                raise Refused(
                    "This server has no run of several data owners: it was started without `--roster`. "
                    "Connect without `identity` and `roster`."
                )
            if request.topology_digest != served.digest:
                raise TopologyError("The client's topology is not the one that this server serves.")
            member = _member(context, request.member)
            reply = served.run.ask(member, request)
            self._seen.asked(member, request, reply)
            return reply

    def Infer(self, frames: Iterator[pb.Frame], context: grpc.ServicerContext) -> Iterator[pb.Frame]:
        """Answers inference requests until the client stops asking."""
        seen = InferenceSeen(self._watchers, _member(context, ""))
        try:
            with reported(context):
                while message := unpack(frames, self._limits):
                    yield from self._inferred(_expect(message, "infer"), seen)
        finally:
            seen.ended()

    def Host(self, frames: Iterator[pb.Frame], context: grpc.ServicerContext) -> Iterator[pb.Frame]:
        """Keeps a client's body as long as the client keeps the call open."""
        with reported(context):
            message = _expect(unpack(frames, self._limits), "host")
            host = message.header.host
            name = self._hosting.host(host.body_json, host.checkpoint_directory, message.tensors)
            try:
                yield from pack(pb.Header(request=message.header.request, hosted=pb.Hosted(model=name)))
                while again := unpack(frames, self._limits):
                    body_json = _expect(again, "host").header.host.body_json
                    self._hosting.place_again(name, body_json, again.tensors)
                    yield from pack(pb.Header(request=again.header.request, hosted=pb.Hosted(model=name)))
            finally:
                self._hosting.drop(name)

    def Status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> pb.StatusReply:
        """What happens at the moment."""
        with reported(context):
            return self._status.of(self._hosting.find(request.model))

    def _welcome(self, served: Served, name: str) -> pb.JoinReply:
        return pb.JoinReply(
            peer=this_peer(),
            model=name,
            topology_json=served.topology_text,
            topology_digest=served.digest,
            settings_json=served.settings_text,
            accepts_settings=served.owned,
            version=served.turns.version,
            body_json=served.describe_body(),
            max_message_bytes=self._limits.max_message_bytes,
        )

    def _inferred(self, message: Message, seen: InferenceSeen) -> Iterator[pb.Frame]:
        infer = message.header.infer
        served = self._hosting.find(infer.model)
        signature, traced = served.traces.inference(infer.signature)
        check_values(message.tensors, signature)
        outputs = served.engine.infer(partial(traced, message.tensors, infer.combine))
        served.counters.inferences += 1
        seen.answered(message.tensors, outputs)
        inferred = pb.Inferred(version=served.turns.version)
        return pack(pb.Header(request=message.header.request, inferred=inferred), outputs)


def _member(context: grpc.ServicerContext, said: str) -> str:
    """Who calls: by the certificate; without TLS, where all is loopback and trust, by what it says."""
    found = caller(context)
    return said if found is None else found.name


def _expect(message: Message | None, kind: str) -> Message:
    if message is None or message.header.WhichOneof("content") != kind:
        raise ProtocolError(f"This call begins with a {kind} request.")
    return message
