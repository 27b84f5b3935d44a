"""Every failure of a call becomes an error of ours whose text says what to do."""

from __future__ import annotations

import grpc
import pytest

from keras_split import errors
from keras_split.errors import (
    ERROR_METADATA,
    AuthenticationFailed,
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    Refused,
    RemoteFailure,
    SplitError,
    from_rpc,
)

Code = grpc.StatusCode
TARGET = "compute.example:50051"
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, SplitError) and kind is not SplitError
]


class Failure(grpc.RpcError):
    """A call that ended badly, as gRPC shows it."""

    def __init__(self, code, details="", metadata=()):
        self.code = lambda: code
        self.details = lambda: details
        self.trailing_metadata = lambda: metadata


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_servers_error_arrives_as_what_it_was(kind):
    metadata = ((ERROR_METADATA, kind.__name__),)
    found = from_rpc(Failure(kind.status, "Do this.", metadata), TARGET)
    assert type(found) is kind
    assert str(found) == f"Do this. (server {TARGET})"


def test_every_kind_is_drawn_in_the_tree_and_can_travel():
    for kind in KINDS:
        assert kind.__name__ in errors.__doc__
        assert errors._BY_NAME[kind.__name__] is kind
    # A kind has a status of its own, or its parent's.
    own = [kind.status for kind in KINDS if "status" in vars(kind)]
    assert len(set(own)) == len(own)


@pytest.mark.parametrize(
    ("code", "details", "kind", "advice"),
    [
        (Code.UNAVAILABLE, "Connection refused", ConnectionLost, "Check the address"),
        (Code.UNAVAILABLE, "Socket closed", ConnectionLost, "client's certificate"),
        (Code.UNAVAILABLE, "Handshake read failed: reset", ConnectionLost, "both sides use TLS"),
        (Code.UNAVAILABLE, "SSL_ERROR_SSL: EXPIRED", AuthenticationFailed, "none has expired"),
        (Code.UNAVAILABLE, "Hostname Verification Check", AuthenticationFailed, "the name in"),
        (Code.UNAVAILABLE, "SSL: WRONG_VERSION_NUMBER", AuthenticationFailed, "does not speak TLS"),
        (Code.UNAVAILABLE, "", ConnectionLost, "the connection was closed"),
        (Code.DEADLINE_EXCEEDED, "", DeadlineExceeded, "`Timeouts`"),
        (Code.CANCELLED, "", ConnectionLost, "stopping"),
        (Code.INTERNAL, "Received RST_STREAM with error code 2", ConnectionLost, "stopping"),
        (Code.UNIMPLEMENTED, "", ProtocolError, "not a keras_split server"),
        (Code.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", Refused, "--max-calls"),
        (Code.UNKNOWN, "Exception calling application", RemoteFailure, "log says more"),
        (Code.INTERNAL, "Exception deserializing request!", RemoteFailure, "log says more"),
    ],
)
def test_what_grpc_says_by_itself_is_not_taken_for_a_servers_word(code, details, kind, advice):
    found = from_rpc(Failure(code, details), TARGET)
    assert type(found) is kind
    assert advice in str(found)
    assert TARGET in str(found)


def test_the_name_of_a_server_is_no_reason():
    target = "certificate.example:443"
    found = from_rpc(Failure(Code.UNAVAILABLE, f"DNS resolution failed for {target}"), target)
    assert type(found) is ConnectionLost


def test_an_unknown_kind_is_no_way_in():
    for name in ("SystemExit", "SplitError", "__class__", ""):
        found = from_rpc(Failure(Code.INTERNAL, "x", ((ERROR_METADATA, name),)), TARGET)
        assert type(found) is RemoteFailure


def test_a_long_description_is_cut_to_its_end():
    found = from_rpc(Failure(Code.UNAVAILABLE, "outer; " * 500 + "the reason."), TARGET)
    assert "the reason. Check" in str(found)
    assert len(str(found)) < 800
