"""A client's connection: what it asks for again, and that it leaves nothing open behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits, pack, unpack
from keras_split.errors import ConnectionLost, Refused, ServerBusy
from keras_split.segment import Shadow
from keras_split.session import Exchange, Prepared, Session, Timeouts, persistence
from keras_split.transport import reported
from support.guarded import REQUESTS, SECONDS, Answering, channel_to, port
from support.silence import Silence


def test_who_asks_for_a_turn_when_no_call_is_free_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with port(None, max_calls=1) as listener, channel_to(listener.port, None) as channel:
        other = Silence(channel)
        held = other.open("Infer", REQUESTS["Infer"].SerializeToString())
        assert next(held)

        def pause(seconds: float) -> None:
            other.end()
            time.sleep(seconds)

        monkeypatch.setattr(persistence, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause))
        session = connected(listener.port, reconnect_seconds=SECONDS)
        assert session.ask_for_turn(pb.TurnRequest()) == pb.TurnReply()
        session.close()


def test_who_asks_for_a_turn_gives_up_when_no_call_gets_free() -> None:
    with port(None, max_calls=1) as listener, channel_to(listener.port, None) as channel:
        other = Silence(channel)
        held = other.open("Infer", REQUESTS["Infer"].SerializeToString())
        assert next(held)
        session = connected(listener.port, reconnect_seconds=-1.0)
        with pytest.raises(ServerBusy, match="at its limit: 1 calls"):
            session.ask_for_turn(pb.TurnRequest())
        session.close()
        other.end()


class Talking(Answering):
    """Answers what a client asks in a stream; breaks the connection where its status is asked for."""

    def Train(self, frames: Iterator[pb.Frame], context: Any) -> Iterator[pb.Frame]:
        while message := unpack(frames, Limits()):
            is_begin = message.header.WhichOneof("content") == "begin"
            said = {"begun": pb.Begun(turn=1)} if is_begin else {"inferred": pb.Inferred()}
            yield from pack(pb.Header(request=message.header.request, **said))

    Infer = Train

    def Prepare(self, request: pb.PrepareRequest, context: Any) -> pb.PrepareReply:
        with reported(context):
            if request.mode == pb.TRAIN:
                raise Refused("No training.")
            return pb.PrepareReply(signature="answered", outputs_structure="null")

    def Status(self, request: pb.StatusRequest, context: Any) -> pb.StatusReply:
        context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


@pytest.fixture
def session() -> Iterator[Session]:
    """A session that leaves no thread behind."""
    with port(None, Talking()) as listener:
        before = set(threading.enumerate())
        session = connected(listener.port, reconnect_seconds=-1.0)
        yield session
        session.close()
        left = [each for each in set(threading.enumerate()) - before if not _is_servers(each)]
        until = time.monotonic() + SECONDS
        for thread in left:
            thread.join(max(0.0, until - time.monotonic()))
        assert not [thread.name for thread in left if thread.is_alive()]


def _is_servers(thread: threading.Thread) -> bool:
    return thread.name.startswith(("call", "health"))


def test_a_reconnect_leaves_no_thread_of_the_streams_before_it(session: Session) -> None:
    for _ in range(3):
        session.infer(prepared("predict"), [], combine=False)
        session.take_turn("a", 0)
        with pytest.raises(ConnectionLost):
            session.status()


def test_a_stream_in_which_an_exchange_is_refused_leaves_no_thread(session: Session) -> None:
    for _ in range(3):
        with pytest.raises(Refused, match="No training"):
            session.step(prepared("train"), [], None)


def prepared(mode: str) -> Prepared:
    return Prepared("answered", (), None, Shadow(), Exchange(mode, ()))


def connected(number: int, **timeouts: float) -> Session:
    return Session(f"127.0.0.1:{number}", insecure=True, timeouts=Timeouts(**timeouts))
