"""What `Credentials` accepts from a folder, and what gRPC makes of it."""

from __future__ import annotations

import datetime
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keras_split import certs
from keras_split.errors import AuthenticationFailed
from keras_split.transport import Credentials

SECONDS = 100.0


@pytest.mark.parametrize("name", ["ca.crt", "tls.crt", "tls.key"])
def test_a_missing_file_is_named(pki: Path, name: str) -> None:
    (pki / "alice" / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"alice has no {re.escape(name)}"):
        Credentials.from_directory(pki / "alice")


@pytest.mark.parametrize("name", ["ca.crt", "tls.crt", "tls.key"])
def test_a_file_of_something_else_is_named(pki: Path, name: str) -> None:
    (pki / "alice" / name).write_bytes(b"not PEM")
    with pytest.raises(ValueError, match=rf"alice/{re.escape(name)}"):
        Credentials.from_directory(pki / "alice")


def test_a_key_with_a_passphrase_is_refused(pki: Path) -> None:
    path = pki / "alice" / "tls.key"
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    pem = serialization.Encoding.PEM
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, locked))
    with pytest.raises(ValueError, match="passphrase"):
        Credentials.from_directory(pki / "alice")


def test_a_key_of_another_certificate_is_refused(pki: Path) -> None:
    (pki / "alice" / "tls.key").write_bytes((pki / "bob" / "tls.key").read_bytes())
    with pytest.raises(ValueError, match="is not the key of"):
        Credentials.from_directory(pki / "alice")


def test_an_intermediate_authority_is_followed_to_the_root(pki: Path) -> None:
    """A company's own authority: root, then intermediate, then leaf."""
    root = x509.load_pem_x509_certificate((pki / "ca" / "ca.crt").read_bytes())
    root_key = serialization.load_pem_private_key((pki / "ca" / "ca.key").read_bytes(), None)
    middle_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    middle = _signed("middle", middle_key, root.subject, root_key)
    leaf = _signed("leaf", leaf_key, middle.subject, middle_key)
    folder = pki / "alice"
    (folder / "tls.key").write_bytes(certs._key_pem(leaf_key))
    (folder / "tls.crt").write_bytes(_pem(leaf) + _pem(middle))
    Credentials.from_directory(folder)
    (folder / "tls.crt").write_bytes(_pem(leaf))
    with pytest.raises(AuthenticationFailed, match="not issued by"):
        Credentials.from_directory(folder)


def _signed(name: str, key: Any, issuer: x509.Name, issuer_key: Any) -> x509.Certificate:
    end = certs._now() + datetime.timedelta(days=1)
    return certs._builder(certs._subject(name), issuer, key, end).sign(issuer_key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def test_a_server_without_the_means_to_check_clients_is_refused(pki: Path) -> None:
    full = Credentials.from_directory(pki / "server")
    with pytest.raises(ValueError, match="root_certificate"):
        Credentials(None, full.certificate, full.private_key).server_credentials()
    with pytest.raises(ValueError, match="private_key"):
        Credentials(full.root_certificate).server_credentials()


def test_text_of_credentials_has_no_key(pki: Path) -> None:
    credentials = Credentials.from_directory(pki / "alice")
    assert credentials.private_key is not None
    secret = credentials.private_key.splitlines()[1].decode()
    assert secret not in f"{credentials} {credentials!r}"


def test_grpc_lets_in_clients_of_the_authority_alone(pki: Path, other: Path) -> None:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[_Echo()])
    credentials = Credentials.from_directory(pki / "server")
    port = server.add_secure_port("127.0.0.1:0", credentials.server_credentials())
    server.start()
    try:
        member = Credentials.from_directory(pki / "alice")
        assert _echo(port, member) == b"hello"
        stranger = Credentials.from_directory(other / "alice")
        for refused in (
            Credentials(member.root_certificate),
            Credentials(member.root_certificate, stranger.certificate, stranger.private_key),
            stranger,
        ):
            with pytest.raises(grpc.RpcError) as caught:
                _echo(port, refused)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    finally:
        server.stop(None).wait(SECONDS)


class _Echo(grpc.GenericRpcHandler):
    def service(self, handler_call_details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request)


def _echo(port: int, credentials: Credentials) -> bytes:
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials.channel_credentials()) as channel:
        return channel.unary_unary("/test/Echo")(b"hello", timeout=SECONDS)
