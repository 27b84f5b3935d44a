"""Servers that the tests of this folder share."""

from __future__ import annotations

import contextlib

import pytest

from support import bodies
from support.halves import Start, connect
from support.processes import Server
from support.proxy import Proxy


@pytest.fixture(scope="session")
def shared_server(pki, tmp_path_factory):
    """One server for all tests that leave it alive; it refuses NaN and messages above a mebibyte."""
    folder = tmp_path_factory.mktemp("shared")
    options = ["--seed", str(bodies.SEED), "--nan", "refuse", "--max-message-mib", "1"]
    with Server(pki, folder, "support.bodies:small", bodies.CUT, *options) as server:
        yield server


@pytest.fixture(scope="session")
def start(shared_server, tmp_path_factory):
    """Where every test begins."""
    return Start(shared_server, tmp_path_factory.mktemp("start") / "start.weights.h5")


@pytest.fixture
def observer(shared_server):
    """Sees the server by a line of its own."""
    with contextlib.closing(shared_server.observer()) as session:
        yield session


@pytest.fixture(scope="module")
def server(shared_server):
    """The server of a file's tests, for those files that start none of their own."""
    return shared_server


@pytest.fixture(scope="module")
def line(server):
    """A line to the server that can be disturbed."""
    with Proxy(server.address) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def lines_client(line, server):
    """A client at the other end of it."""
    split = connect(server, line.address)
    yield split
    split.close()


@pytest.fixture
def connected(shared_server, start):
    """Connects clients of the shared server, which is at its beginning again; closes them."""
    clients = []

    def make(address="", *, at_start=True, **options):
        split = connect(shared_server, address, **options)
        clients.append(split)
        return start.load(split) if at_start else split

    yield make
    shared_server.go_on()
    shared_server.gate.open()
    for split in clients:
        split.close()


@pytest.fixture(scope="session")
def only_client(shared_server):
    split = connect(shared_server)
    yield split
    split.close()


@pytest.fixture
def client(only_client, start, connected):
    """A client at the beginning; the same one each time, since tracing a new one takes a second."""
    del connected  # Leaves the server ready for the next test.
    return start.load(only_client)
