"""Every call against every role, over mutual TLS and real sockets."""

from __future__ import annotations

import shutil
import ssl

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from keras_split import certs
from keras_split._proto.v1 import split_pb2 as pb
from keras_split.errors import from_rpc
from keras_split.keyfiles import write_key
from keras_split.roles import ROLES, Caller
from support.guarded import CALLS, MAY, Answering, ask, channel_to, is_healthy, of, port
from support.tunnel import tunnel


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """One party of each role, and `nobody`, whose certificate names no party."""
    folder = tmp_path_factory.mktemp("parties") / "pki"
    certs.create_authority(folder)
    for role in ROLES:
        certs.issue(folder, role, role=role)
    certs.issue(folder, "another", role="trainer")
    _issue_without_identity(folder)
    return folder


def _issue_without_identity(folder):
    authority = certs._load_authority(folder / "ca")
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = certs._leaf(authority, key, "nobody", [x509.DNSName("localhost")], 1)
    (folder / "nobody").mkdir(mode=0o700)
    shutil.copy(folder / "ca" / "ca.crt", folder / "nobody")
    certs._write_certificate(folder / "nobody" / "tls.crt", leaf)
    write_key(folder / "nobody" / "tls.key", certs._key_pem(key))


@pytest.fixture(scope="module")
def served(pki):
    service = Answering()
    with port(of(pki, "server"), service) as listener:
        yield listener.port, service


def error_of(channel, call, request=None):
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, call, request)
    error = from_rpc(caught.value, "server")
    return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_make_its_calls_and_no_others(pki, served, role):
    number, service = served
    with channel_to(number, of(pki, role)) as channel:
        for call in CALLS:
            service.callers.clear()
            if call in MAY[role]:
                ask(channel, call)
                assert service.callers == [Caller(role, role)], call
            else:
                assert f"Refused: keras-split://{role}/{role} may not call {call}" in error_of(channel, call)
                assert service.callers == [], call


def test_who_only_predicts_prepares_for_nothing_else(pki, served):
    with channel_to(served[0], of(pki, "inference")) as channel:
        ask(channel, "Prepare", pb.PrepareRequest(mode=pb.TEST))
        error = error_of(channel, "Prepare", pb.PrepareRequest(mode=pb.TRAIN))
        assert "Refused" in error and "only for evaluation and prediction" in error


def test_a_certificate_of_the_authority_that_names_no_party_is_refused(pki, served):
    with channel_to(served[0], of(pki, "nobody")) as channel:
        for call in CALLS:
            assert "AuthenticationFailed: The certificate names no party" in error_of(channel, call)


def test_tls_12_is_refused(pki, served):
    with (
        tunnel(served[0], pki / "trainer", ssl.TLSVersion.TLSv1_2) as near,
        channel_to(near, None) as channel,
    ):
        for call in CALLS:
            assert "AuthenticationFailed: This connection is older than TLS 1.3" in error_of(channel, call)


def test_the_same_way_in_tls_13_is_let_in(pki, served):
    number, service = served
    with tunnel(number, pki / "trainer", ssl.TLSVersion.TLSv1_3) as near, channel_to(near, None) as channel:
        service.callers.clear()
        ask(channel, "Status")
        assert service.callers == [Caller("trainer", "trainer")]


@pytest.mark.parametrize("name", [*ROLES, "nobody"])
def test_everybody_with_a_certificate_may_ask_for_the_health(pki, served, name):
    with channel_to(served[0], of(pki, name)) as channel:
        assert is_healthy(channel)


def test_the_servers_certificate_is_refused_at_a_data_owners_port(pki):
    with port(of(pki, "trainer")) as listener:
        with channel_to(listener.port, of(pki, "server")) as channel:
            assert "Refused: keras-split://server/server may not" in error_of(channel, "Status")
        with channel_to(listener.port, of(pki, "another")) as channel:
            ask(channel, "Status")


def test_a_data_owner_finds_the_party_that_it_expects_or_nobody(pki):
    with port(of(pki, "trainer")) as listener:
        with channel_to(listener.port, of(pki, "another"), expects=Caller("trainer", "trainer")) as channel:
            ask(channel, "Status")
        for other in (Caller("trainer", "another"), Caller("peer", "trainer")):
            with channel_to(listener.port, of(pki, "another"), expects=other) as channel:
                assert "AuthenticationFailed" in error_of(channel, "Status")


def test_without_tls_everybody_on_this_machine_may():
    service = Answering()
    with port(None, service) as listener, channel_to(listener.port, None) as channel:
        for call in CALLS:
            ask(channel, call)
        assert service.callers == [None] * len(CALLS)
        assert is_healthy(channel)
