"""A client's connection: what it asks for again, and that it leaves nothing open behind."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.errors import ServerBusy
from keras_split.session import Session, Timeouts, persistence
from support.guarded import REQUESTS, SECONDS, channel_to, port
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


def connected(number: int, **timeouts: float) -> Session:
    return Session(f"127.0.0.1:{number}", insecure=True, timeouts=Timeouts(**timeouts))
