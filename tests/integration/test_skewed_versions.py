"""Programs of two versions notice it when they join."""

from __future__ import annotations

import pytest

from keras_split import SplitModel
from keras_split.errors import VersionMismatch
from keras_split.peer import this_peer
from keras_split.session import remote


def join(server):
    SplitModel.connect(server.address, server.credentials()).close()


@pytest.fixture
def another(monkeypatch):
    """Makes this process a client of another kind."""

    def make(**fields):
        peer = this_peer()
        for name, value in fields.items():
            setattr(peer, name, value)
        monkeypatch.setattr(remote, "this_peer", lambda: peer)

    return make


def test_a_client_of_another_protocol_is_refused_by_the_server(shared_server, another):
    another(protocol=99, package_version="99.1")
    with pytest.raises(VersionMismatch, match=r"The client speaks protocol 99 \(keras_split 99.1\)"):
        join(shared_server)


def test_a_server_of_another_protocol_is_refused_by_the_client(shared_server, another, monkeypatch):
    another()  # It asks as the server expects it.
    monkeypatch.setattr("keras_split.peer.PROTOCOL", 99)
    with pytest.raises(VersionMismatch, match=r"The server speaks protocol 2 \(keras_split .*this side 99"):
        join(shared_server)


def test_the_server_logs_a_client_that_may_compute_in_another_way(shared_server, another):
    another(fingerprint="threads=99")
    join(shared_server)
    assert "The client has fingerprint 'threads=99' and this side" in shared_server.log
