"""Clients that open calls and say nothing leave threads for the others."""

from __future__ import annotations

import contextlib
import socket
import time

import grpc
import numpy as np
import pytest

from keras_split import certs
from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import pack
from keras_split.errors import Refused, from_rpc
from keras_split.transport import Patience
from support.guarded import CALLS, SECONDS, ask, channel_to, is_healthy, of, port
from support.silence import Silence, codes_of_ended

MANY = 60
# Far beyond a machine's longest pause, after which silent calls would be ended that a test counts on.
HOLDS = Patience(first_seconds=600.0)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients") / "pki"
    certs.create(folder, clients=["honest", "hostile"])
    return folder


@contextlib.contextmanager
def hostile_at(pki, patience=HOLDS, **options):
    """A port, and a client of it that says nothing."""
    with (
        port(of(pki, "server"), patience=patience, **options) as listener,
        channel_to(listener.port, of(pki, "hostile")) as channel,
    ):
        silent = Silence(channel)
        try:
            yield listener.port, silent
        finally:
            silent.end()


def test_silent_calls_of_one_client_leave_room_for_another(pki):
    with hostile_at(pki, max_calls=6) as (number, hostile):
        calls = [hostile.open(name) for name in [*CALLS] * (MANY // len(CALLS))]
        assert codes_of_ended(calls, len(calls) - 3) == {grpc.StatusCode.PERMISSION_DENIED}
        with channel_to(number, of(pki, "honest")) as channel:
            for call in CALLS:
                ask(channel, call)
            assert is_healthy(channel)


def test_one_call_too_many_is_told_so(pki):
    with hostile_at(pki, max_calls=6, max_calls_per_client=2) as (_, hostile):
        refused = hostile.open("Train"), hostile.open("Infer"), hostile.open("Host")
        assert codes_of_ended([*refused], 1) == {grpc.StatusCode.PERMISSION_DENIED}
        (error,) = [from_rpc(call, "server") for call in refused if not call.is_active()]
        assert isinstance(error, Refused)
        assert "keras-split://trainer/hostile has 2 calls in flight" in str(error)


def test_health_is_answered_while_all_calls_are_taken(pki):
    with hostile_at(pki, max_calls=4, max_calls_per_client=4) as (number, hostile):
        calls = [hostile.open(name) for name in [*CALLS, *CALLS]]
        checks = [hostile.open("/grpc.health.v1.Health/Check") for _ in range(MANY)]
        assert codes_of_ended(calls, len(calls) - 4) == {grpc.StatusCode.PERMISSION_DENIED}
        assert codes_of_ended(checks, len(checks) - 2) == {grpc.StatusCode.PERMISSION_DENIED}
        with channel_to(number, of(pki, "honest")) as channel:
            assert is_healthy(channel)


@pytest.mark.parametrize("call", [*CALLS, "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"])
def test_a_call_whose_first_message_does_not_come_is_ended(pki, call):
    with hostile_at(pki, patience=Patience(first_seconds=0.1)) as (_, hostile):
        assert codes_of_ended([hostile.open(call)], 1) == {grpc.StatusCode.CANCELLED}


def test_a_message_whose_rest_does_not_come_is_ended(pki):
    with hostile_at(pki, patience=Patience(frame_seconds=0.1)) as (_, hostile):
        assert codes_of_ended([hostile.open("Train", _begun())], 1) == {grpc.StatusCode.CANCELLED}


def test_calls_that_were_ended_give_their_share_back(pki):
    patience = Patience(first_seconds=0.1)
    with hostile_at(pki, max_calls=2, max_calls_per_client=2, patience=patience) as (number, hostile):
        for _ in range(3):
            codes_of_ended([hostile.open("Train"), hostile.open("Join")], 2)
        with channel_to(number, of(pki, "honest")) as channel:
            _ask_until_let_in(channel)


def _ask_until_let_in(channel):
    """The server's thread notices a moment after the client that a call has ended."""
    give_up = time.monotonic() + SECONDS
    while True:
        try:
            return ask(channel, "Status")
        except grpc.RpcError:
            assert time.monotonic() < give_up
            time.sleep(0.01)


def test_connections_that_say_nothing_leave_room_for_others(pki):
    with contextlib.ExitStack() as held, port(of(pki, "server"), max_calls=4) as listener:
        for _ in range(MANY):
            held.enter_context(socket.create_connection(("127.0.0.1", listener.port)))
        with channel_to(listener.port, of(pki, "honest")) as channel:
            ask(channel, "Status")
            assert is_healthy(channel)


def _begun() -> bytes:
    """The first of the two frames of a message."""
    first, _ = pack(pb.Header(request=1), [np.zeros(1 << 18, np.float32), np.zeros(1, np.float32)])
    return first.SerializeToString()
