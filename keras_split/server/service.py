"""The service's calls: look the model up, hand the work on, translate errors."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits, Message, pack, unpack
from keras_split.errors import ERROR_METADATA, ProtocolError, Refused, RemoteFailure, SplitError
from keras_split.peer import check_peer, this_peer
from keras_split.server.hosting import Hosting
from keras_split.server.preparation import check_values
from keras_split.server.served import Served
from keras_split.server.training import Training
from keras_split.transport import Meter

_log = logging.getLogger(__name__)


class SplitService:
    """Implements the service of `split.proto`.

    Args:
        hosting: The models.
        limits: Ceilings on what a client may send.
        meter: Bytes of all calls.
    """

    def __init__(self, hosting: Hosting, limits: Limits, meter: Meter):
        self._hosting = hosting
        self._limits = limits
        self._meter = meter
        self._started = time.monotonic()
        self._incarnation = secrets.randbits(64)

    def Join(self, request: pb.JoinRequest, context: grpc.ServicerContext) -> pb.JoinReply:
        """Says hello, and takes settings where the model is the client's."""
        with _reported(context):
            check_peer(request.peer, "client")
            served = self._hosting.find(request.model)
            if request.settings_json:
                self._hosting.check_settings(request.settings_json)
                served.settle(request.settings_json)
            return self._welcome(served, request.model)

    def Prepare(self, request: pb.PrepareRequest, context: grpc.ServicerContext) -> pb.PrepareReply:
        """Compiles an exchange."""
        with _reported(context):
            return self._hosting.find(request.model).prepare(request)

    def Train(self, frames: Iterator[pb.Frame], context: grpc.ServicerContext) -> Iterator[pb.Frame]:
        """Holds one turn."""
        with _reported(context):
            message = _expect(unpack(frames, self._limits), "begin")
            served = self._hosting.find(message.header.begin.model)
            yield from Training(served, message).converse(frames)

    def Infer(self, frames: Iterator[pb.Frame], context: grpc.ServicerContext) -> Iterator[pb.Frame]:
        """Answers inference requests until the client stops asking."""
        with _reported(context):
            while message := unpack(frames, self._limits):
                yield from self._inferred(_expect(message, "infer"))

    def Host(self, frames: Iterator[pb.Frame], context: grpc.ServicerContext) -> Iterator[pb.Frame]:
        """Keeps a client's body as long as the client keeps the call open."""
        with _reported(context):
            message = _expect(unpack(frames, self._limits), "host")
            host = message.header.host
            name = self._hosting.host(host.body_json, host.checkpoint_directory, message.tensors)
            try:
                yield from pack(pb.Header(request=message.header.request, hosted=pb.Hosted(model=name)))
                unpack(frames, self._limits)
            finally:
                self._hosting.drop(name)

    def Status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> pb.StatusReply:
        """What happens at the moment."""
        with _reported(context):
            served = self._hosting.find(request.model)
            return pb.StatusReply(
                model=served.topology["name"],
                cut=_named(served.topology),
                topology_digest=served.digest,
                version=served.turns.version,
                trainer=served.turns.holder(time.monotonic()),
                turns=served.counters.turns,
                steps=served.counters.steps,
                inferences=served.counters.inferences,
                bytes_received=self._meter.received,
                bytes_sent=self._meter.sent,
                uptime_seconds=time.monotonic() - self._started,
                strategy=served.place.name,
                peer=this_peer(),
            )

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
            incarnation=self._incarnation,
            max_message_bytes=self._limits.max_message_bytes,
        )

    def _inferred(self, message: Message) -> Iterator[pb.Frame]:
        infer = message.header.infer
        served = self._hosting.find(infer.model)
        signature, traced = served.inference_for(infer.signature)
        check_values(message.tensors, signature)
        outputs = served.engine.infer(partial(traced, message.tensors, infer.combine))
        served.counters.inferences += 1
        inferred = pb.Inferred(version=served.turns.version)
        return pack(pb.Header(request=message.header.request, inferred=inferred), outputs)


def _named(topology: dict[str, Any]) -> str:
    return " to ".join(", ".join(names) for names in (topology["cut"], topology["second_cut"]) if names)


def _expect(message: Message | None, kind: str) -> Message:
    if message is None or message.header.WhichOneof("content") != kind:
        raise ProtocolError(f"This call begins with a {kind} request.")
    return message


@contextlib.contextmanager
def _reported(context: grpc.ServicerContext) -> Iterator[None]:
    """Our errors become status codes whose text is for the user; others are only named."""
    try:
        yield
    except SplitError as error:
        if not isinstance(error, Refused):
            _log.warning("%s: %s", type(error).__name__, error)
        _abort(context, error)
    except grpc.RpcError:
        raise  # The client went away while its stream was read.
    except Exception as error:
        if not context.is_active():
            raise
        _log.exception("A call failed.")
        what = f"The server failed with {type(error).__name__}; its log says where."
        _abort(context, RemoteFailure(what))


def _abort(context: grpc.ServicerContext, error: SplitError) -> None:
    context.set_trailing_metadata(((ERROR_METADATA, type(error).__name__),))
    context.abort(error.status, str(error))
