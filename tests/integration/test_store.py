"""Stores and peers as processes, killed at bad moments, and an S3 server on loopback."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from keras_split import Credentials, certs
from keras_split._proto.v1 import store_pb2 as pb
from keras_split.codec import Limits
from keras_split.errors import (
    AuthenticationFailed,
    BlobMissing,
    ConnectionLost,
    ProtocolError,
    Refused,
    SplitError,
    StoreFull,
)
from keras_split.exchange import (
    FileHandover,
    HandoverSettings,
    Hint,
    PeerHandover,
    PeerSettings,
    open_handover,
)
from keras_split.transport import STORE, Meter, open_channel, stub
from support.proxy import Proxy
from support.stores import QUICK, RUN, Peer, S3Server, Store, name_of

BLOB = os.urandom((3 << 20) + 77)
OTHER = BLOB[::-1]
MIB = 1 << 20
PATIENCE_SECONDS = 100


@pytest.fixture(scope="module")
def store(pki, tmp_path_factory):
    """One for all tests that leave it alive."""
    with Store(
        pki, tmp_path_factory.mktemp("store"), "--max-blob-mib", "8", "--max-total-mib", "64"
    ) as store:
        yield store


@pytest.fixture
def handover(store):
    with contextlib.closing(store.handover()) as handover:
        yield handover


def wait_for(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "It did not happen."
        time.sleep(0.01)


def test_what_was_put_over_tls_comes_back(handover):
    handover.put(name_of(BLOB), BLOB)
    handover.put(name_of(BLOB), BLOB)
    assert handover.get(name_of(BLOB), len(BLOB)) == BLOB
    with pytest.raises(BlobMissing):
        handover.get("0" * 64, 1)


def test_ceilings_of_the_command_hold(handover):
    with pytest.raises(ProtocolError, match="--max-blob-mib"):
        large = bytes(8 * MIB + 1)
        handover.put(name_of(large), large)
    with pytest.raises(StoreFull, match="--max-total-mib"):
        for number in range(9):
            blob = number.to_bytes(1, "big") * 8 * MIB
            handover.put(name_of(blob), blob)
    first = bytes(8 * MIB)
    assert handover.get(name_of(first), len(first)) == first


def test_health_checks_know_the_store(store, pki):
    credentials = Credentials.from_directory(pki / "owner").channel_credentials()
    with grpc.secure_channel(store.address, credentials) as channel:
        request = health_pb2.HealthCheckRequest(service=STORE.name)
        reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=100)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_two_stores_on_one_folder_are_refused(store, pki, tmp_path):
    assert store.address
    (tmp_path / "blobs").symlink_to(store.blobs)
    with Store(pki, tmp_path) as second:
        assert second.wait() == 1
        assert "Another server keeps blobs in" in second.log and second.log.count("\n") == 1


def test_a_terminated_store_ends_well(tmp_path):
    with Store(None, tmp_path) as store:
        assert store.port > 0
        store.terminate()
        assert store.wait() == 0
        assert "Stopped." in store.log and "Traceback" not in store.log


def test_a_line_that_breaks_in_a_put_and_in_a_get_is_mended(store):
    with Proxy(store.address) as proxy, contextlib.closing(store.handover(proxy.address)) as handover:
        blob = os.urandom(2 * MIB)
        proxy.after("up", MIB, proxy.cut)
        handover.put(name_of(blob), blob)
        proxy.after("down", MIB, proxy.cut)
        assert handover.get(name_of(blob), len(blob)) == blob
        assert proxy.connections >= 3


def _half(reached: threading.Event, go_on: threading.Event):
    """A put that stops in its midst."""
    yield pb.Piece(blob=pb.Blob(run=RUN, name=name_of(BLOB), size=len(BLOB)))
    yield pb.Piece(data=BLOB[:MIB])
    reached.set()
    go_on.wait(PATIENCE_SECONDS)
    yield pb.Piece(data=BLOB[MIB:])


def test_a_store_that_is_killed_in_the_midst_of_a_put_has_no_half_blob(tmp_path):
    reached, go_on = threading.Event(), threading.Event()
    with Store(None, tmp_path) as store:
        port = store.port
        with contextlib.closing(store.handover()) as handover:
            handover.put(name_of(OTHER), OTHER)
        with open_channel(store.address, None, insecure=True, limits=Limits()) as channel:
            put = stub(channel, "Put", Meter(), STORE).future(_half(reached, go_on), timeout=PATIENCE_SECONDS)
            wait_for(lambda: reached.is_set() and _unfinished(store) > 0)
            store.kill()
            go_on.set()
            assert isinstance(put.exception(timeout=PATIENCE_SECONDS), grpc.RpcError)
        assert store.files() - {f"{RUN}/{name_of(OTHER)}"} == {each.name for each in _writing(store)}
    with Store(None, tmp_path, port=port) as store:
        assert store.port == port
        assert store.files() == {f"{RUN}/{name_of(OTHER)}"}
        with contextlib.closing(store.handover()) as handover:
            assert handover.get(name_of(OTHER), len(OTHER)) == OTHER
            with pytest.raises(BlobMissing):
                handover.get(name_of(BLOB), len(BLOB))
            handover.put(name_of(BLOB), BLOB)
            assert handover.get(name_of(BLOB), len(BLOB)) == BLOB


def _writing(store: Store) -> list[Path]:
    return list(store.blobs.glob(".writing-*"))


def _unfinished(store: Store) -> int:
    return sum(each.stat().st_size for each in _writing(store))


def test_a_put_waits_for_a_store_that_is_started_again(tmp_path):
    with Store(None, tmp_path) as store:
        port, handover = store.port, store.handover()
        store.kill()
        store.wait()
    outcome = []
    putting = threading.Thread(target=lambda: outcome.append(handover.put(name_of(BLOB), BLOB)))
    putting.start()
    with Store(None, tmp_path, port=port) as store, contextlib.closing(handover):
        putting.join(PATIENCE_SECONDS)
        assert outcome == [None] and handover.get(name_of(BLOB), len(BLOB)) == BLOB
        assert store.files() == {f"{RUN}/{name_of(BLOB)}"}


@pytest.mark.parametrize("options", [["--insecure", "--listen", "0.0.0.0:0"], ["--listen", "127.0.0.1:0"]])
def test_without_tls_a_store_listens_on_loopback_only_and_when_told(tmp_path, options):
    from support.processes import Process

    command = ["-m", "keras_split", "store", "--folder", str(tmp_path / "blobs"), *options]
    with Process(command, tmp_path / "log") as refused:
        assert refused.wait() in (1, 2)
        assert "--certificates DIR" in refused.log and "Traceback" not in refused.log


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with S3Server(tmp_path_factory.mktemp("s3") / "s3.log") as server:
        yield server


@pytest.fixture
def bucket(s3):
    """A handover by a folder of the bucket, and the file system that it uses."""
    url, settings = f"s3://{s3.bucket}/some/prefix", HandoverSettings(storage=s3.storage, limits=QUICK)
    handover = open_handover(url, RUN, None, settings)
    assert isinstance(handover, FileHandover)
    return handover, f"{s3.bucket}/some/prefix/{RUN}"


@pytest.mark.parametrize("size", [1, 1000, 6 * MIB])
def test_what_was_put_to_s3_comes_back(bucket, size):
    handover, folder = bucket
    blob = os.urandom(size)
    with pytest.raises(BlobMissing):
        handover.get(name_of(blob), len(blob))
    handover.put(name_of(blob), blob)
    handover.put(name_of(blob), blob)
    assert handover.get(name_of(blob), len(blob)) == blob
    assert handover._files.cat_file(f"{folder}/{name_of(blob)}") == blob


def test_an_s3_object_that_was_changed_is_refused_and_may_be_put_anew(bucket):
    handover, folder = bucket
    handover.put(name_of(BLOB), BLOB)
    handover._files.pipe_file(f"{folder}/{name_of(BLOB)}", BLOB[:-1] + b"?")
    with pytest.raises(ProtocolError, match="other bytes"):
        handover.get(name_of(BLOB), len(BLOB))
    handover.put(name_of(BLOB), BLOB)
    assert handover.get(name_of(BLOB), len(BLOB)) == BLOB


def test_a_bucket_that_is_not_there_is_an_error_of_ours(s3):
    handover = open_handover(f"s3://{s3.bucket}-not/x", RUN, None, HandoverSettings(storage=s3.storage))
    with pytest.raises(SplitError):
        handover.put(name_of(BLOB), BLOB)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Certificates of three data owners."""
    pki = tmp_path_factory.mktemp("members") / "pki"
    certs.create(pki, clients=["alice", "bob", "carol"])
    return pki


@pytest.fixture(scope="module")
def alice(members, tmp_path_factory):
    with Peer(members, "alice", tmp_path_factory.mktemp("alice") / "peer", BLOB) as peer:
        yield peer


@pytest.fixture
def bob(members, tmp_path):
    """Makes a data owner of this process."""
    made = []

    def make(fallback=""):
        peer = PeerSettings(tmp_path / f"own {len(made)}", fallback=fallback)
        settings = HandoverSettings(peer=peer, storage={}, limits=QUICK)
        made.append(open_handover("peer", RUN, Credentials.from_directory(members / "bob"), settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_blob_goes_from_one_process_to_another(alice, bob):
    assert isinstance(bob(), PeerHandover)
    assert bob().get(name_of(BLOB), len(BLOB), Hint("alice", alice.address)) == BLOB


def test_a_process_with_another_members_certificate_is_refused(alice, bob):
    with pytest.raises(AuthenticationFailed, match="should be keras-split://trainer/carol"):
        bob().get(name_of(BLOB), len(BLOB), Hint("carol", alice.address))


def test_the_servers_certificate_is_refused_by_a_peers_port(alice, members):
    server = Credentials.from_directory(members / "server")
    with open_channel(alice.address, server, insecure=False, limits=Limits()) as channel:
        call = stub(channel, "Get", Meter(), STORE)
        with pytest.raises(grpc.RpcError) as caught:
            next(call(pb.GetRequest(run=RUN, name=name_of(BLOB)), timeout=100))
    assert caught.value.code() is Refused.status and "its role is server" in caught.value.details()


def test_a_peer_tells_nobody_that_somebody_looked_at_its_certificate(alice, bob):
    bob().get(name_of(BLOB), len(BLOB), Hint("alice", alice.address))
    assert "andshake" not in alice.log


def test_when_a_peer_was_killed_its_blob_comes_from_the_fallback(members, bob, tmp_path):
    with Peer(members, "alice", tmp_path / "alice", OTHER) as alice:
        hint = Hint("alice", alice.address)
        share = f"file://{tmp_path}/share"
        helped, alone = bob(fallback=share), bob()
        assert alone.get(name_of(OTHER), len(OTHER), hint) == OTHER
        open_handover(share, RUN, None).put(name_of(OTHER), OTHER)
        alice.kill()
        alice.wait()
    with pytest.raises(ConnectionLost):
        alone.get(name_of(OTHER), len(OTHER), hint)
    assert helped.get(name_of(OTHER), len(OTHER), hint) == OTHER
