"""The calls of the service by name, for both ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.transport.meter import Meter

SERVICE = pb.DESCRIPTOR.services_by_name["Split"].full_name


class Call(NamedTuple):
    """A call's messages; both ends stream frames, or neither streams."""

    request: Any
    reply: Any
    streams: bool


CALLS = {
    "Join": Call(pb.JoinRequest, pb.JoinReply, False),
    "Prepare": Call(pb.PrepareRequest, pb.PrepareReply, False),
    "Status": Call(pb.StatusRequest, pb.StatusReply, False),
    "Train": Call(pb.Frame, pb.Frame, True),
    "Infer": Call(pb.Frame, pb.Frame, True),
    "Host": Call(pb.Frame, pb.Frame, True),
}


def stub(channel: grpc.Channel, name: str, meter: Meter) -> Callable[..., Any]:
    """The client's end of a call."""
    call = CALLS[name]
    make = channel.stream_stream if call.streams else channel.unary_unary
    return make(
        f"/{SERVICE}/{name}",
        request_serializer=meter.serializer(),
        response_deserializer=meter.deserializer(call.reply),
    )


def handlers(servicer: Any, meter: Meter) -> grpc.GenericRpcHandler:
    """The server's end of all calls: methods of `servicer` by the calls' names."""
    return grpc.method_handlers_generic_handler(
        SERVICE, {name: _handler(call, getattr(servicer, name), meter) for name, call in CALLS.items()}
    )


def _handler(call: Call, method: Callable[..., Any], meter: Meter) -> grpc.RpcMethodHandler:
    make = grpc.stream_stream_rpc_method_handler if call.streams else grpc.unary_unary_rpc_method_handler
    return make(method, meter.deserializer(call.request), meter.serializer())
