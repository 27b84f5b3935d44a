"""The calls of each service by name, for both ends; their protos say what they carry and who streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from keras_split._proto.v1 import split_pb2, store_pb2
from keras_split.transport.meter import Meter


class Call(NamedTuple):
    """A call's messages, and its kind as gRPC names it, such as `stream_unary`."""

    request: Any
    reply: Any
    kind: str


class Service(NamedTuple):
    """A service: its full name, and its calls by name."""

    name: str
    calls: dict[str, Call]


def _service(module: Any, name: str) -> Service:
    descriptor = module.DESCRIPTOR.services_by_name[name]
    return Service(descriptor.full_name, {method.name: _call(method) for method in descriptor.methods})


def _call(method: MethodDescriptor) -> Call:
    ends = (method.client_streaming, method.server_streaming)
    kind = "_".join("stream" if streams else "unary" for streams in ends)
    return Call(GetMessageClass(method.input_type), GetMessageClass(method.output_type), kind)


SPLIT = _service(split_pb2, "Split")
STORE = _service(store_pb2, "Store")
SERVICE = SPLIT.name


def stub(channel: grpc.Channel, name: str, meter: Meter, service: Service = SPLIT) -> Callable[..., Any]:
    """The client's end of a call."""
    call = service.calls[name]
    return getattr(channel, call.kind)(
        f"/{service.name}/{name}",
        request_serializer=meter.serializer(),
        response_deserializer=meter.deserializer(call.reply),
    )


def handlers(servicer: Any, meter: Meter, service: Service = SPLIT) -> grpc.GenericRpcHandler:
    """The server's end of all calls: methods of `servicer` by the calls' names."""
    return grpc.method_handlers_generic_handler(
        service.name,
        {name: _handler(call, getattr(servicer, name), meter) for name, call in service.calls.items()},
    )


def _handler(call: Call, method: Callable[..., Any], meter: Meter) -> grpc.RpcMethodHandler:
    make = getattr(grpc, f"{call.kind}_rpc_method_handler")
    return make(method, meter.deserializer(call.request), meter.serializer())
