"""Who cannot be joined is told apart, at once, and with what to do about it."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from keras_split import Credentials, SplitModel, certs
from keras_split.codec import Limits
from keras_split.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ProtocolError,
    Refused,
    SplitError,
)
from keras_split.session import Session, Timeouts
from keras_split.transport import Listener, Meter, handlers

DEADLINE = Timeouts(join_seconds=100)


def connect(address, credentials=None, **options):
    return SplitModel.connect(address, credentials, timeouts=DEADLINE, **options)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Certificates of another authority, with the same names."""
    folder = tmp_path_factory.mktemp("certificates") / "others"
    certs.create(folder, clients=["owner"])
    return folder


@pytest.fixture(scope="module")
def expired(pki):
    """Adds certificates that are no longer good, and reads them without a look at the date."""
    with pytest.MonkeyPatch.context() as patch:
        past = certs._now() - timedelta(days=10)
        patch.setattr(certs, "_now", lambda: past)
        certs.issue(pki, "late_server", role="server", days=1)
        certs.issue(pki, "late_client", role="client", days=1)
    return lambda name: read_unchecked(pki / name)


def read_unchecked(folder):
    names = ("ca.crt", "tls.crt", "tls.key")
    return Credentials(*((folder / name).read_bytes() for name in names))


@pytest.fixture
def listen():
    """Starts servers that answer nothing: they are refused, or refuse, before that."""
    listeners = []

    def start(credentials):
        listener = Listener("127.0.0.1:0", credentials, Limits())
        listener.start()
        listeners.append(listener)
        return f"127.0.0.1:{listener.port}"

    yield start
    for listener in listeners:
        listener.stop(0)


@pytest.fixture
def owner(shared_server):
    return shared_server.credentials()


def test_no_server_at_the_address(owner):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionLost, match="Check the address, that `keras-split serve` runs"):
        connect(f"127.0.0.1:{port}", owner)


def test_no_machine_of_that_name(owner):
    with pytest.raises(ConnectionLost, match="no-such-host.invalid:50051.*Check the address"):
        connect("no-such-host.invalid:50051", owner)


def test_an_address_that_is_none(owner):
    with pytest.raises(ValueError, match="host:port.*Received: target='compute.example'"):
        connect("compute.example", owner)


def test_a_server_that_accepts_and_says_nothing(owner):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SplitError) as caught:
        SplitModel.connect(f"127.0.0.1:{silent.getsockname()[1]}", owner, timeouts=Timeouts(join_seconds=0.5))
    assert "did not answer within the deadline" in str(caught.value)


def test_a_server_of_another_program(owner, listen):
    with pytest.raises(ProtocolError, match="is not a keras_split server"):
        connect(listen(owner), owner)


def test_a_server_of_another_authority(others, shared_server):
    stranger = Credentials.from_directory(others / "owner")
    with pytest.raises(AuthenticationFailed, match="CERTIFICATE_VERIFY_FAILED.*same authority"):
        connect(shared_server.address, stranger)


def test_a_client_of_another_authority(others, owner, shared_server):
    stranger = Credentials.from_directory(others / "owner")
    mixed = Credentials(owner.root_certificate, stranger.certificate, stranger.private_key)
    with pytest.raises(ConnectionLost, match="client's certificate is of the server's authority"):
        connect(shared_server.address, mixed)


def test_a_client_without_a_certificate(owner, shared_server):
    with pytest.raises(ConnectionLost, match="client's certificate is of the server's authority"):
        connect(shared_server.address, Credentials(owner.root_certificate))


def test_a_server_of_another_name(pki, owner, listen):
    certs.issue(pki, "elsewhere", hosts=["compute.example"], role="server")
    address = listen(Credentials.from_directory(pki / "elsewhere"))
    with pytest.raises(AuthenticationFailed, match="the name in the server's certificate"):
        connect(address, owner)


def test_an_expired_server(expired, owner, listen):
    with pytest.raises(AuthenticationFailed, match="certificate has expired.*none has expired"):
        connect(listen(expired("late_server")), owner)


def test_an_expired_client(expired, shared_server):
    with pytest.raises(ConnectionLost, match="has not expired"):
        connect(shared_server.address, expired("late_client"))


def test_an_expired_certificate_is_noticed_before_it_is_used(expired, pki):
    del expired
    with pytest.raises(AuthenticationFailed, match="late_client.* expired on .*keras-split certs"):
        Credentials.from_directory(pki / "late_client")


def test_tls_to_a_server_without(owner, listen):
    with pytest.raises(AuthenticationFailed, match="does not speak TLS.*--certificates"):
        connect(listen(None), owner)


def test_no_tls_to_a_server_with(shared_server):
    with pytest.raises(ConnectionLost, match="both sides use TLS or neither does"):
        connect(shared_server.address, insecure=True)


def test_no_credentials_is_no_way_to_say_insecure(shared_server):
    with pytest.raises(ValueError, match="needs `credentials=.*insecure=True"):
        connect(shared_server.address)


def test_no_tls_beyond_this_machine():
    with pytest.raises(ValueError, match="loopback addresses only.*Received"):
        connect("192.0.2.1:50051", insecure=True)


def test_a_server_with_too_many_calls(owner):
    # A server that is busy with as many calls as it may: this one is not even begun.
    listener = Listener("127.0.0.1:0", owner, Limits(), max_calls=1)
    answering, may_answer = threading.Event(), threading.Event()

    class Busy:
        def __getattr__(self, name):
            return self.answer

        def answer(self, request, context):
            answering.set()
            may_answer.wait(100)
            raise AssertionError("Nobody waits for this answer.")

    listener.server.add_generic_rpc_handlers((handlers(Busy(), Meter()),))
    listener.start()
    first = Session(f"127.0.0.1:{listener.port}", owner, timeouts=DEADLINE)
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(first.status)
        assert answering.wait(100)
        with pytest.raises(Refused, match="at its limit.*Try again later.*--max-calls"):
            connect(f"127.0.0.1:{listener.port}", owner)
        may_answer.set()
        with pytest.raises(SplitError):
            asked.result(100)
    first.close()
    listener.stop(0)
