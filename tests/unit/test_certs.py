"""Certificates for development: who is let in, who is not, and what lies on disk."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from keras_split import certs
from keras_split.errors import AuthenticationFailed
from keras_split.transport import Credentials

SECONDS = 100.0


def _context(purpose: ssl.Purpose, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(purpose, cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.verify_mode = ssl.CERT_REQUIRED
    # The default of Python 3.13, and stricter about extensions than before.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def handshake(server: Path, client: Path, host: str = "localhost") -> tuple[str, str]:
    """Identities that the server and the client saw of each other over TCP on this machine."""
    accepts = _context(ssl.Purpose.CLIENT_AUTH, server)
    connects = _context(ssl.Purpose.SERVER_AUTH, client)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(SECONDS)
        seen = pool.submit(_accept, listener, accepts)
        server_identity = _connect(listener.getsockname(), connects, host)
        return seen.result(SECONDS), server_identity


def _accept(listener: socket.socket, context: ssl.SSLContext) -> str:
    raw, _ = listener.accept()
    with raw:
        raw.settimeout(SECONDS)
        with context.wrap_socket(raw, server_side=True) as tls:
            tls.sendall(b"!")
            return _identity(tls)


def _connect(address: Any, context: ssl.SSLContext, host: str) -> str:
    with (
        socket.create_connection(address, SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=host) as tls,
    ):
        # In TLS 1.3 a client learns only here that its certificate was refused.
        assert tls.recv(1) == b"!"
        return _identity(tls)


def _identity(tls: ssl.SSLSocket) -> str:
    names = tls.getpeercert()["subjectAltName"]
    (identity,) = [value for kind, value in names if kind == "URI"]
    return identity


def _made_in(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    monkeypatch.setattr(certs, "_now", lambda: moment)


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_both_ends_know_each_other(pki: Path, host: str) -> None:
    identities = handshake(pki / "server", pki / "alice", host)
    assert identities == ("keras-split://trainer/alice", "keras-split://server/server")


def test_clients_can_serve_each_other(pki: Path) -> None:
    identities = handshake(pki / "alice", pki / "bob")
    assert identities == ("keras-split://trainer/bob", "keras-split://trainer/alice")


def test_a_server_is_refused_at_an_address_that_its_certificate_lacks(tmp_path: Path) -> None:
    certs.create(tmp_path / "pki", server=["compute.example"], clients=["alice"])
    with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
        handshake(tmp_path / "pki" / "server", tmp_path / "pki" / "alice")


def test_a_client_added_later_is_let_in(pki: Path) -> None:
    certs.issue(pki, "carol", role="client")
    assert handshake(pki / "server", pki / "carol")[0] == "keras-split://trainer/carol"


def test_a_client_of_another_authority_is_refused(pki: Path, other: Path) -> None:
    # It trusts the server, so that only the server can refuse.
    (other / "alice" / "ca.crt").write_bytes((pki / "alice" / "ca.crt").read_bytes())
    with pytest.raises(ssl.SSLError, match="(?i)unknown.ca|verify failed"):
        handshake(pki / "server", other / "alice")
    with pytest.raises(AuthenticationFailed, match="not issued by the authority"):
        Credentials.from_directory(other / "alice")


def test_a_server_of_another_authority_is_refused(pki: Path, other: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(other / "server", pki / "alice")


def test_an_expired_certificate_is_refused_with_its_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made_in(-40, monkeypatch)
    certs.create(tmp_path / "pki", clients=["alice"], days=30)
    ended = certs._now() + datetime.timedelta(days=30)
    with pytest.raises(AuthenticationFailed, match=f"tls.crt expired on {ended:%Y-%m-%d %H:%M}"):
        Credentials.from_directory(tmp_path / "pki" / "alice")
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(tmp_path / "pki" / "server", tmp_path / "pki" / "alice")


def test_a_certificate_from_the_future_is_refused_with_its_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made_in(2, monkeypatch)
    certs.create(tmp_path / "pki")
    with pytest.raises(AuthenticationFailed, match=f"not valid before {certs._now():%Y-%m}.* clock"):
        Credentials.from_directory(tmp_path / "pki" / "server")


def test_clocks_may_differ_by_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certs, "_now", _four_minutes_ahead)
    certs.create(tmp_path / "pki")
    Credentials.from_directory(tmp_path / "pki" / "server")


def _four_minutes_ahead() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=4)


def test_no_certificate_outlives_its_authority(tmp_path: Path) -> None:
    certs.create_authority(tmp_path, days=10)
    certs.issue(tmp_path, "alice", role="client", days=90)
    authority, leaf = (
        x509.load_pem_x509_certificate((tmp_path / name).read_bytes())
        for name in ("ca/ca.crt", "alice/tls.crt")
    )
    assert leaf.not_valid_after_utc == authority.not_valid_after_utc


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        certs.create(tmp_path / "pki", clients=["alice"])
    finally:
        os.umask(before)
    folders = {tmp_path / "pki" / name for name in ("", "ca", "server", "alice")}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    keys = list((tmp_path / "pki").rglob("*.key"))
    assert len(keys) == 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_in_reach_of_others_is_refused(pki: Path, mode: int) -> None:
    for key in (pki / "alice" / "tls.key", pki / "ca" / "ca.key"):
        key.chmod(mode)
        with pytest.raises(PermissionError, match=rf"chmod 600 .*{key.name}.*mode={mode:04o}"):
            certs.read_key(key)
    with pytest.raises(PermissionError):
        Credentials.from_directory(pki / "alice")
    with pytest.raises(PermissionError):
        certs.issue(pki, "carol", role="client")
    assert not (pki / "carol").exists()


def test_nothing_is_overwritten(pki: Path) -> None:
    before = _contents(pki)
    for attempt in (
        lambda: certs.create(pki, clients=["alice"]),
        lambda: certs.create_authority(pki),
        lambda: certs.issue(pki, "alice", role="client"),
    ):
        with pytest.raises(FileExistsError, match="never overwritten"):
            attempt()
    assert _contents(pki) == before


def test_a_party_needs_an_authority(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="create_authority"):
        certs.issue(tmp_path, "alice", role="client")


@pytest.mark.parametrize(
    "wrong",
    [
        {"server": "localhost"},
        {"server": []},
        {"server": ["compute:50051"]},
        {"server": ["https://compute"]},
        {"server": ["bücher.example"]},
        {"clients": "alice"},
        {"clients": ["alice", "alice"]},
        {"clients": ["server"]},
        {"clients": ["ca"]},
        {"clients": ["../alice"]},
        {"clients": ["a/b"]},
        {"clients": [""]},
        {"clients": ["a" * 65]},
        {"clients": {"alice": ["alice:50052"]}},
        {"clients": ["alice"], "inference": ["Alice"]},
        {"clients": ["store"], "store": ["store.example"]},
        {"inference": "clinic"},
        {"store": "store.example"},
        {"days": 0},
        {"days": 10**9},
    ],
    ids=repr,
)
def test_a_wrong_argument_makes_nothing(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Received: "):
        certs.create(tmp_path / "pki", **wrong)
    assert not (tmp_path / "pki").exists()


def test_a_role_is_one_of_the_known(pki: Path) -> None:
    with pytest.raises(ValueError, match="role='relay'"):
        certs.issue(pki, "carol", role="relay")  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["trainer", "inference", "store", "server", "peer"])
def test_a_certificate_names_its_role(pki: Path, role: certs.Role) -> None:
    certs.issue(pki, "carol", role=role)
    assert handshake(pki / "server", pki / "carol")[0] == f"keras-split://{role}/carol"


def test_a_whole_set_has_every_role_that_was_asked_for(tmp_path: Path) -> None:
    certs.create(
        tmp_path, clients={"a": ["a.example"], "b": []}, inference=["clinic"], store=["store.example"]
    )
    found = {path.parent.name: _names(path) for path in tmp_path.glob("*/tls.crt")}
    assert found == {
        "server": {*certs.HOSTS, "server.server.keras-split.internal", "keras-split://server/server"},
        "store": {"store.example", "store.store.keras-split.internal", "keras-split://store/store"},
        "a": {"a.example", "a.trainer.keras-split.internal", "keras-split://trainer/a"},
        "b": {*certs.HOSTS, "b.trainer.keras-split.internal", "keras-split://trainer/b"},
        "clinic": {*certs.HOSTS, "clinic.inference.keras-split.internal", "keras-split://inference/clinic"},
    }


def _names(path: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}
