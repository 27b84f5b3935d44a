"""A server that speaks the protocol and lies: it asks an honest one, and changes what that says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits, Message, pack, unpack
from keras_split.transport import Listener, Meter, handlers, open_channel, stub
from support.processes import Server

Lie = Callable[[Message], "Iterator[pb.Frame] | None"]


class Liar:
    """Stands between a client and an honest server, with a certificate of its own.

    Args:
        server: The honest one.
        about_preparing: Changes the reply to a `Prepare`, in place.

    Attributes:
        lie: From an honest reply to a step to what is said in its place; None ends the stream.
    """

    def __init__(
        self,
        server: Server,
        about_preparing: Callable[[pb.PrepareReply], None] = lambda reply: None,
    ):
        self.lie: Lie = repeat
        self._about_preparing = about_preparing
        self._channel = open_channel(server.address, server.credentials(), insecure=False, limits=Limits())
        self._listener = Listener("127.0.0.1:0", server.credentials(), Limits())
        self._listener.server.add_generic_rpc_handlers((handlers(self, Meter()),))
        self._listener.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.port}"

    def Join(self, request: pb.JoinRequest, context: Any) -> pb.JoinReply:
        return self._ask("Join", request)

    def Prepare(self, request: pb.PrepareRequest, context: Any) -> pb.PrepareReply:
        reply = self._ask("Prepare", request)
        self._about_preparing(reply)
        return reply

    def Status(self, request: pb.StatusRequest, context: Any) -> pb.StatusReply:
        return self._ask("Status", request)

    def Turn(self, request: pb.TurnRequest, context: Any) -> pb.TurnReply:
        return self._ask("Turn", request)

    def Train(self, frames: Iterator[pb.Frame], context: Any) -> Iterator[pb.Frame]:
        replies = self._ask("Train", frames)
        context.add_callback(replies.cancel)
        while message := unpack(replies, Limits()):
            is_step = message.header.WhichOneof("content") == "stepped"
            said = self.lie(message) if is_step else repeat(message)
            if said is None:
                return
            yield from said

    def Infer(self, frames: Iterator[pb.Frame], context: Any) -> Iterator[pb.Frame]:
        return self._ask("Infer", frames)

    def Host(self, frames: Iterator[pb.Frame], context: Any) -> Iterator[pb.Frame]:
        return self._ask("Host", frames)

    def __enter__(self) -> Liar:
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.stop(0)
        self._channel.close()

    def _ask(self, name: str, request: Any) -> Any:
        return stub(self._channel, name, Meter())(request)


def repeat(message: Message) -> Iterator[pb.Frame]:
    """The truth."""
    return pack(bare(message), message.tensors)


def bare(message: Message) -> pb.Header:
    """The header of a reply, to be filled with other tensors."""
    header = pb.Header()
    header.CopyFrom(message.header)
    del header.tensors[:]
    return header
