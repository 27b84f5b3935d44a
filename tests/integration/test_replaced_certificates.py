"""Certificates that are replaced while a server runs."""

from __future__ import annotations

import shutil
from datetime import timedelta

import grpc
import pytest

from keras_split import certs
from support.guarded import ask, channel_to, of, port


@pytest.fixture
def sets(tmp_path):
    """Two authorities, each with a server and a client."""
    for name in ("old", "new"):
        certs.create(tmp_path / name, clients=["owner"])
    return tmp_path


def replace(source, target):
    for file in ("ca.crt", "tls.crt", "tls.key"):
        shutil.copy(source / file, target / file)


def is_let_in(number, credentials):
    with channel_to(number, credentials) as channel:
        try:
            ask(channel, "Status")
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            return False
    return True


@pytest.fixture
def served(sets):
    shutil.copytree(sets / "old" / "server", sets / "in_use")
    with port(of(sets, "in_use")) as listener:
        yield listener.port


def test_a_new_authority_holds_from_the_next_connection_on(sets, served):
    old, new = of(sets / "old", "owner"), of(sets / "new", "owner")
    assert (is_let_in(served, old), is_let_in(served, new)) == (True, False)
    replace(sets / "new" / "server", sets / "in_use")
    assert (is_let_in(served, old), is_let_in(served, new)) == (False, True)


def test_calls_over_a_connection_that_is_open_go_on(sets, served):
    with channel_to(served, of(sets / "old", "owner")) as channel:
        ask(channel, "Status")
        replace(sets / "new" / "server", sets / "in_use")
        ask(channel, "Status")


def test_a_certificate_that_cannot_be_used_leaves_the_one_before(sets, served, caplog, monkeypatch):
    replace(sets / "new" / "server", sets / "in_use")
    assert is_let_in(served, of(sets / "new", "owner"))
    for spoil in (_cut_short, _of_another_key, _expired(sets, monkeypatch), _gone):
        caplog.clear()
        spoil(sets)
        assert is_let_in(served, of(sets / "new", "owner")), spoil
        assert not is_let_in(served, of(sets / "old", "owner")), spoil
        assert caplog.text.count("stay in use") == 1, spoil
        replace(sets / "new" / "server", sets / "in_use")
        assert is_let_in(served, of(sets / "new", "owner"))


def _cut_short(sets):
    file = sets / "in_use" / "tls.crt"
    file.write_bytes(file.read_bytes()[:100])


def _of_another_key(sets):
    shutil.copy(sets / "old" / "server" / "tls.key", sets / "in_use" / "tls.key")


def _expired(sets, monkeypatch):
    with monkeypatch.context() as patch:
        past = certs._now() - timedelta(days=10)
        patch.setattr(certs, "_now", lambda: past)
        certs.issue(sets / "new", "late", role="server", days=1)

    def expired(sets):
        replace(sets / "new" / "late", sets / "in_use")

    return expired


def _gone(sets):
    (sets / "in_use" / "tls.key").unlink()


def test_a_client_reads_its_certificate_again_for_a_new_connection(sets):
    with port(of(sets / "new", "server")) as listener:
        shutil.copytree(sets / "old" / "owner", sets / "mine")
        credentials = of(sets, "mine")
        assert not is_let_in(listener.port, credentials)
        replace(sets / "new" / "owner", sets / "mine")
        assert is_let_in(listener.port, credentials)
        (sets / "mine" / "tls.key").unlink()
        assert not is_let_in(listener.port, credentials)
