"""A port in this process with the protocol's calls and nothing behind them: what gets through is answered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from keras_split import Credentials
from keras_split._proto.v1 import split_pb2 as pb
from keras_split._proto.v1 import store_pb2 as store
from keras_split.codec import Limits, pack, unpack
from keras_split.roles import Caller
from keras_split.transport import (
    SERVICE,
    SPLIT,
    STORE,
    Listener,
    Meter,
    caller,
    handlers,
    open_channel,
    stub,
)

# A machine that others use may stand still for half a minute; only what hangs takes longer.
SECONDS = 100.0

# Every call, with its service.
CALLS = {name: service for service in (SPLIT, STORE) for name in service.calls}

# The law, written down a second time: what is not here is refused.
MAY: dict[str, set[str]] = {
    "trainer": {"Join", "Prepare", "Status", "Train", "Turn", "Infer", "Host", "Put", "Get"},
    "inference": {"Join", "Prepare", "Status", "Infer"},
    "store": set(),
    "server": set(),
    "peer": set(),
}


class Answering:
    """Answers every call.

    Attributes:
        callers: Who called, in order.
    """

    def __init__(self) -> None:
        self.callers: list[Caller | None] = []

    def Join(self, request: pb.JoinRequest, context: Any) -> pb.JoinReply:
        self.callers.append(caller(context))
        return pb.JoinReply(model="answered")

    def Prepare(self, request: pb.PrepareRequest, context: Any) -> pb.PrepareReply:
        self.callers.append(caller(context))
        return pb.PrepareReply(signature="answered")

    def Status(self, request: pb.StatusRequest, context: Any) -> pb.StatusReply:
        self.callers.append(caller(context))
        return pb.StatusReply(model="answered")

    def Turn(self, request: pb.TurnRequest, context: Any) -> pb.TurnReply:
        self.callers.append(caller(context))
        return pb.TurnReply()

    def Train(self, frames: Iterator[pb.Frame], context: Any) -> Iterator[pb.Frame]:
        self.callers.append(caller(context))
        while message := unpack(frames, Limits()):
            yield from pack(pb.Header(request=message.header.request), message.tensors)

    Infer = Host = Train

    def Put(self, pieces: Iterator[store.Piece], context: Any) -> store.PutReply:
        self.callers.append(caller(context))
        return store.PutReply(is_new=next(pieces) is not None)

    def Get(self, request: store.GetRequest, context: Any) -> Iterator[store.Piece]:
        self.callers.append(caller(context))
        yield store.Piece(data=request.name.encode())


@contextlib.contextmanager
def port(credentials: Credentials | None, service: Any = None, **options: Any) -> Iterator[Listener]:
    """A port with health checks."""
    listener = Listener("127.0.0.1:0", credentials, Limits(), **options)
    answering = service or Answering()
    for each in (SPLIT, STORE):
        if all(hasattr(answering, name) for name in each.calls):
            listener.server.add_generic_rpc_handlers((handlers(answering, Meter(), each),))
    checks = health.HealthServicer()
    checks.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, listener.server)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop(0)


@contextlib.contextmanager
def channel_to(number: int, credentials: Credentials | None, **options: Any) -> Iterator[grpc.Channel]:
    """A client's connection to a port of this machine."""
    insecure = credentials is None
    address = f"127.0.0.1:{number}"
    with open_channel(address, credentials, insecure=insecure, limits=Limits(), **options) as channel:
        yield channel


def ask(channel: grpc.Channel, call: str, request: Any = None) -> Any:
    """Makes a call with one request, and returns the first reply."""
    service, given = CALLS[call], request or REQUESTS[call]
    kind = service.calls[call].kind
    reply = stub(channel, call, Meter(), service)(
        iter([given]) if kind.startswith("stream") else given, timeout=SECONDS
    )
    return next(reply) if kind.endswith("stream") else reply


def is_healthy(channel: grpc.Channel) -> bool:
    request = health_pb2.HealthCheckRequest(service=SERVICE)
    reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=SECONDS)
    return reply.status == health_pb2.HealthCheckResponse.SERVING


def of(pki: Path, name: str) -> Credentials:
    return Credentials.from_directory(pki / name)


_FRAME = pb.Frame(header=pb.Header(request=1))
REQUESTS: dict[str, Any] = {
    "Join": pb.JoinRequest(model="any"),
    "Prepare": pb.PrepareRequest(mode=pb.PREDICT),
    "Status": pb.StatusRequest(model="any"),
    "Turn": pb.TurnRequest(model="any"),
    "Train": _FRAME,
    "Infer": _FRAME,
    "Host": _FRAME,
    "Put": store.Piece(data=b"any"),
    "Get": store.GetRequest(name="any"),
}
