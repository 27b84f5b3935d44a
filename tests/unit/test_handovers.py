"""Every way of handing over gives back the bytes that were put, or an error; never other bytes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
from functools import partial

import fsspec
import grpc
import pytest
from fsspec.implementations.memory import MemoryFileSystem

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
    FolderHandover,
    HandoverLimits,
    HandoverSettings,
    Hint,
    PeerHandover,
    PeerSettings,
    StoreHandover,
    open_handover,
)
from keras_split.roles import Caller
from keras_split.server.envelopes import Envelopes
from keras_split.server.links import Links
from keras_split.server.observers import Observer
from keras_split.store import BlobFolder, StoreService
from keras_split.transport import STORE, Listener, Meter, handlers, open_channel, open_pinned_channel, stub

RUN = "0123456789abcdef"
# The same in every process, since its digest is in the names of tests.
BLOB = hashlib.shake_256(b"blob").digest((1 << 20) + 77)
OTHER = BLOB[::-1]
SECONDS = 100.0
LIMITS = HandoverLimits(max_blob_bytes=2 << 20, call_seconds=SECONDS, retry_seconds=0, peer_retry_seconds=0)


def name_of(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


class Unsafe(MemoryFileSystem):
    """A file system on which a reader may see half a file, and what was done to it."""

    protocol = "unsafe"
    done: list[tuple[str, ...]] = []
    failure: Exception | None = None
    damage = b""

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("unsafe://", "memory://"))

    def pipe_file(self, path, value, mode="overwrite", **options):
        self.done.append(("pipe", path))
        if self.failure is not None:
            super().pipe_file(path, value[: len(value) // 2], mode, **options)
            raise self.failure
        super().pipe_file(path, value + self.damage, mode, **options)

    def mv(self, path1, path2, *arguments, **options):
        self.done.append(("move", path1, path2))
        super().mv(path1, path2, *arguments, **options)


fsspec.register_implementation("unsafe", Unsafe, clobber=True)


@pytest.fixture(autouse=True)
def empty_memory():
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    Unsafe.done.clear()


@pytest.fixture(scope="module")
def parties(tmp_path_factory):
    """Certificates by name; `stranger` is of another authority."""
    pki, other = (tmp_path_factory.mktemp("pki") / name for name in ("ours", "theirs"))
    certs.create(pki, clients=["alice", "bob"])
    certs.create(other, clients=["alice"])
    found = {name: Credentials.from_directory(pki / name) for name in ("server", "alice", "bob")}
    return {**found, "stranger": Credentials.from_directory(other / "alice")}


@pytest.fixture
def opened():
    """What is put on it is closed after the test."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def serve(opened):
    """Serves a store in this process, and returns its address."""

    def start(servicer, credentials=None):
        listener = Listener("127.0.0.1:0", credentials, Limits())
        listener.server.add_generic_rpc_handlers((handlers(servicer, Meter(), STORE),))
        listener.start()
        opened.callback(listener.stop, 0)
        return f"127.0.0.1:{listener.port}"

    return start


@pytest.fixture
def reach(opened):
    """A handover by the store at an address."""

    def connect(address, limits=LIMITS):
        made = open_handover(f"store://{address}", RUN, None, HandoverSettings(insecure=True, limits=limits))
        return opened.enter_context(contextlib.closing(made))

    return connect


@pytest.fixture
def peer(parties, tmp_path, opened):
    """A data owner."""

    def make(name, **options):
        given = (RUN, parties[name], "127.0.0.1:0", LIMITS)
        made = PeerHandover(tmp_path / f"own of {name}", *given, **options)
        return opened.enter_context(contextlib.closing(made))

    return make


@pytest.fixture(params=["store", "folder", "memory", "unsafe", "peer"])
def handover(request, serve, reach, peer, tmp_path):
    if request.param == "store":
        return reach(serve(StoreService(BlobFolder(tmp_path, 1 << 30, 1 << 30))))
    if request.param == "peer":
        return peer("alice")
    url = f"file://{tmp_path}/share" if request.param == "folder" else f"{request.param}://a/share"
    return open_handover(url, RUN, None, HandoverSettings(limits=LIMITS))


def test_what_was_put_comes_back_and_may_be_put_again(handover):
    for _ in range(2):
        handover.put(name_of(BLOB), BLOB)
        assert handover.get(name_of(BLOB), len(BLOB)) == BLOB


def test_a_blob_that_nobody_has_put_is_missing(handover):
    handover.put(name_of(BLOB), BLOB)
    with pytest.raises(BlobMissing):
        handover.get(name_of(OTHER), len(OTHER))


def test_bytes_that_are_not_the_names_are_not_put(handover):
    with pytest.raises(ProtocolError):
        handover.put(name_of(BLOB), OTHER)
    with pytest.raises(BlobMissing):
        handover.get(name_of(BLOB), len(BLOB))


@pytest.mark.parametrize("name", ["", "../" * 22, name_of(BLOB).upper(), name_of(BLOB)[1:]])
def test_a_name_that_is_no_digest_is_refused(handover, name):
    for call in (lambda: handover.put(name, BLOB), lambda: handover.get(name, len(BLOB))):
        with pytest.raises(ProtocolError):
            call()


class Liar:
    """A store that answers what a test wants."""

    def __init__(self, *pieces):
        self.pieces = pieces

    def Put(self, pieces, context):
        return pb.PutReply(is_new=True)

    def Get(self, request, context):
        yield from self.pieces


def announced(size):
    return pb.Piece(blob=pb.Blob(run=RUN, name=name_of(BLOB), size=size))


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([announced(8), pb.Piece(data=b"12345678")], "other bytes than those"),
        ([announced(8), pb.Piece(data=b"1234")], "or not all of them"),
        ([announced(8), pb.Piece(data=BLOB), pb.Piece(data=b"9")], "more than the 1,048,653 bytes"),
        ([announced(len(BLOB) + 1)], "more than the 1,048,653 bytes"),
        ([announced(1 << 50)], "more than the 1,048,653 bytes"),
        ([pb.Piece(data=b"12345678")], "something else than a blob"),
        ([], "something else than a blob"),
    ],
)
def test_a_store_that_lies_is_refused(serve, reach, pieces, reason):
    with pytest.raises(ProtocolError, match=reason):
        reach(serve(Liar(*pieces))).get(name_of(BLOB), len(BLOB))


class Shaky:
    """A store that breaks off the first calls."""

    def __init__(self, store, failures):
        self.store = store
        self.failures = failures

    def Put(self, pieces, context):
        self._break(context)
        return self.store.Put(pieces, context)

    def Get(self, request, context):
        yield from self._half_broken(request, context)

    def _half_broken(self, request, context):
        for piece in self.store.Get(request, context):
            yield piece
            self._break(context)

    def _break(self, context):
        self.failures -= 1
        if self.failures >= 0:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


@pytest.fixture
def kept(tmp_path):
    return BlobFolder(tmp_path / "kept", 1 << 30, 1 << 30)


def test_a_put_and_a_get_are_repeated_after_the_connection_broke(serve, reach, kept):
    shaky = Shaky(StoreService(kept), 2)
    patient = reach(serve(shaky), HandoverLimits(call_seconds=SECONDS, retry_seconds=SECONDS))
    patient.put(name_of(BLOB), BLOB)
    assert shaky.failures < 0
    shaky.failures = 2
    assert patient.get(name_of(BLOB), len(BLOB)) == BLOB


def test_a_store_that_stays_away_is_a_lost_connection(serve, reach, kept):
    hasty = reach(serve(Shaky(StoreService(kept), 1 << 30)))
    with pytest.raises(ConnectionLost):
        hasty.put(name_of(BLOB), BLOB)


def test_a_refusal_is_not_repeated(serve, reach, tmp_path):
    full = StoreService(BlobFolder(tmp_path, 1 << 30, len(BLOB) - 1))
    shaky = Shaky(full, 0)
    patient = reach(serve(shaky), HandoverLimits(call_seconds=SECONDS, retry_seconds=SECONDS))
    with pytest.raises(StoreFull, match="--max-total-mib"):
        patient.put(name_of(BLOB), BLOB)
    assert shaky.failures == -1


def test_a_blob_above_the_stores_ceiling_is_refused_before_its_bytes_come(serve, reach, tmp_path):
    handover = reach(serve(StoreService(BlobFolder(tmp_path, 1 << 20, 1 << 30))))
    with pytest.raises(ProtocolError, match="--max-blob-mib"):
        handover.put(name_of(BLOB), BLOB)
    assert handover.meter.sent < len(BLOB) + 1000


def test_a_server_keeps_and_gives_the_envelopes_of_its_own_run_alone(serve, reach, kept, tmp_path):
    foreign = reach(serve(Envelopes(kept, "f" * 16, Links(tmp_path / "links")).store(Observer())))
    kept.put(RUN, name_of(OTHER), [OTHER])
    for call in (lambda: foreign.put(name_of(BLOB), BLOB), lambda: foreign.get(name_of(OTHER), len(OTHER))):
        with pytest.raises(Refused, match=f"of run {'f' * 16} are kept here.*'{RUN}'"):
            call()
    assert not kept.has(RUN, name_of(BLOB))
    own = reach(serve(Envelopes(kept, RUN, Links(tmp_path / "links")).store(Observer())))
    own.put(name_of(BLOB), BLOB)
    assert own.get(name_of(BLOB), len(BLOB)) == BLOB


def begin(size=8, run=RUN, name="ab" * 32, data=b""):
    return pb.Piece(blob=pb.Blob(run=run, name=name, size=size), data=data)


@pytest.mark.parametrize(
    ("pieces", "seconds", "reason"),
    [
        ([], SECONDS, "begins with a piece that names"),
        ([pb.Piece(data=b"x")], SECONDS, "begins with a piece that names"),
        ([begin(data=b"x")], SECONDS, "has no data"),
        ([begin(1), pb.Piece(data=b"xy")], SECONDS, "that were announced"),
        ([begin(3), pb.Piece(data=b"xy")], SECONDS, "that were announced"),
        ([begin(2), pb.Piece(data=b"xy")], SECONDS, "nothing was kept"),
        ([begin(run="../../etc")], SECONDS, "A run is named"),
        ([begin(name="passwd")], SECONDS, "A blob is named"),
        ([begin()], None, "needs a deadline"),
        ([begin()], 1e6, "needs a deadline"),
    ],
)
def test_a_put_that_breaks_the_contract_is_refused_and_leaves_nothing(serve, kept, pieces, seconds, reason):
    address = serve(StoreService(kept))
    with (
        open_channel(address, None, insecure=True, limits=Limits()) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        stub(channel, "Put", Meter(), STORE)(iter(pieces), timeout=seconds)
    assert caught.value.code() is ProtocolError.status
    assert reason in caught.value.details()
    assert [each for each in kept.path.rglob("*") if each.is_file()] == []


@pytest.mark.parametrize("seconds", [0, -1.0, 3601.0])
def test_deadlines_that_a_store_refuses_are_refused_here(seconds):
    with pytest.raises(ValueError, match="call_seconds="):
        HandoverLimits(call_seconds=seconds)


def unsafe(**attributes):
    made = FileHandover("unsafe://a/share", RUN, LIMITS)
    for name, value in attributes.items():
        setattr(made._files, name, value)
    return made


@pytest.fixture
def unsafe_files():
    """The one instance that fsspec hands out, as it was."""
    files = fsspec.filesystem("unsafe")
    yield files
    files.failure, files.damage = None, b""


def test_a_name_appears_on_an_unsafe_file_system_when_all_bytes_are_there(unsafe_files):
    unsafe().put(name_of(BLOB), BLOB)
    (_, written), (_, moved, path) = unsafe_files.done
    assert written == moved != path and path.endswith(f"/{RUN}/{name_of(BLOB)}")
    assert unsafe_files.find("/") == [path]


def test_a_put_that_fails_half_way_leaves_nothing(unsafe_files):
    with pytest.raises(ConnectionLost, match="TimeoutError: too long"):
        unsafe(failure=TimeoutError("too long")).put(name_of(BLOB), BLOB)
    assert unsafe_files.find("/") == []


@pytest.mark.parametrize("url", ["memory://a/share", "unsafe://a/share"])
def test_what_a_broken_put_has_left_is_written_over(url):
    handover = FileHandover(url, RUN, LIMITS)
    fsspec.filesystem("memory").pipe_file(f"/a/share/{RUN}/{name_of(BLOB)}", BLOB[:100])
    with pytest.raises(ProtocolError, match="other bytes"):
        handover.get(name_of(BLOB), len(BLOB))
    handover.put(name_of(BLOB), BLOB)
    assert handover.get(name_of(BLOB), len(BLOB)) == BLOB


def test_a_file_system_that_keeps_other_bytes_is_found_out_by_the_put(unsafe_files):
    with pytest.raises(ProtocolError, match="more than the 1,048,653 bytes"):
        unsafe(damage=b"!").put(name_of(BLOB), BLOB)


@pytest.mark.parametrize("signed", [100, LIMITS.max_blob_bytes, LIMITS.max_blob_bytes + 100])
def test_no_more_than_was_signed_and_may_be_is_read_of_a_file(monkeypatch, signed):
    handover = FileHandover("memory://a/share", RUN, LIMITS)
    large = bytes(LIMITS.max_blob_bytes + 100)
    fsspec.filesystem("memory").pipe_file(f"/a/share/{RUN}/{name_of(large)}", large)
    lengths, whole = [], MemoryFileSystem.cat_file

    def counting(*arguments, **options):
        content = whole(*arguments, **options)
        lengths.append(len(content))
        return content

    monkeypatch.setattr(MemoryFileSystem, "cat_file", counting)
    ceiling = min(signed, LIMITS.max_blob_bytes)
    with pytest.raises(ProtocolError, match=f"more than the {ceiling:,} bytes"):
        handover.get(name_of(large), signed)
    assert lengths == [ceiling + 1]


def test_no_more_than_was_signed_is_read_of_a_folder(tmp_path, monkeypatch):
    handover, taken = FolderHandover(tmp_path, RUN, LIMITS), []
    handover.put(name_of(BLOB), BLOB)
    pieces = BlobFolder.get
    monkeypatch.setattr(
        BlobFolder, "get", lambda *given: (taken.append(len(each)) or each for each in pieces(*given))
    )
    with pytest.raises(ProtocolError, match="more than the 100 bytes"):
        handover.get(name_of(BLOB), 100)
    assert len(taken) == 1


@pytest.mark.parametrize("pieces", [[announced(101)], [announced(100), pb.Piece(data=BLOB[:101])]])
def test_no_more_than_was_signed_is_taken_of_a_peer(serve, parties, peer, pieces):
    address = serve(Liar(*pieces), parties["alice"])
    with pytest.raises(ProtocolError, match="more than the 100 bytes"):
        peer("bob").get(name_of(BLOB), 100, Hint("alice", address))


FAILURES = [
    (PermissionError(errno.EACCES, "no"), Refused),
    (OSError(errno.ENOSPC, "no space"), StoreFull),
    (OSError(errno.EDQUOT, "no space"), StoreFull),
    (OSError(errno.EIO, "broken"), ConnectionLost),
    (OSError(errno.ESTALE, "gone"), ConnectionLost),
]


@pytest.mark.parametrize(("failure", "kind"), [*FAILURES, (RuntimeError("a library's own"), ConnectionLost)])
def test_what_a_library_of_files_says_becomes_an_error_of_ours(unsafe_files, failure, kind):
    with pytest.raises(SplitError) as caught:
        unsafe(failure=failure).put(name_of(BLOB), BLOB)
    assert type(caught.value) is kind and "unsafe://" in str(caught.value)


@pytest.mark.parametrize(("failure", "kind"), FAILURES)
@pytest.mark.parametrize("call", ["_open", "_renaming"])
def test_what_a_mounted_folder_says_becomes_an_error_of_ours(tmp_path, monkeypatch, call, failure, kind):
    def fails(*given):
        raise failure

    handover = FolderHandover(tmp_path / "share", RUN, LIMITS)
    monkeypatch.setattr(BlobFolder, call, fails)
    with pytest.raises(SplitError, match=str(tmp_path)) as caught:
        handover.get(name_of(BLOB), len(BLOB)) if call == "_open" else handover.put(name_of(BLOB), BLOB)
    assert type(caught.value) is kind


def test_a_folder_that_is_gone_is_no_missing_blob_for_who_puts(tmp_path):
    handover = FolderHandover(tmp_path / "share", RUN, LIMITS)
    (tmp_path / "share").rmdir()
    with pytest.raises(ConnectionLost, match="cannot be used now"):
        handover.put(name_of(BLOB), BLOB)


def test_a_password_in_an_address_is_in_no_error():
    handover = FileHandover("memory://user:hunter2@host/share", RUN, LIMITS)
    with pytest.raises(BlobMissing, match="host/share") as caught:
        handover.get(name_of(BLOB), len(BLOB))
    assert "hunter2" not in str(caught.value)


def test_a_folder_is_seen_by_others_at_once_and_has_no_half_blobs(tmp_path):
    one, other = (FolderHandover(tmp_path / "share", RUN, LIMITS) for _ in range(2))
    one.put(name_of(BLOB), BLOB)
    assert other.get(name_of(BLOB), len(BLOB)) == BLOB
    path = tmp_path / "share" / RUN / name_of(BLOB)
    path.write_bytes(BLOB[:-1])
    with pytest.raises(ProtocolError, match="other bytes"):
        other.get(name_of(BLOB), len(BLOB))


@pytest.mark.parametrize(
    ("where", "settings", "advice"),
    [
        ("elsewhere", {}, "'store://host:port'"),
        ("store://", {}, "'store://host:port'"),
        ("server", {}, "HandoverSettings(server='host:port')"),
        ("peer", {}, "PeerSettings"),
        ("file://share", {}, "three slashes"),
        ("store://host", {"insecure": True}, "host:port"),
        ("store://far.example:1", {"insecure": True}, "loopback"),
        ("store://localhost:1", {}, "credentials"),
        ("peer", {"peer": PeerSettings("own", fallback="peer")}, "PeerSettings"),
    ],
)
def test_a_wrong_way_says_what_to_write(where, settings, advice):
    with pytest.raises(ValueError) as caught:
        open_handover(where, RUN, None, HandoverSettings(**settings)).get(name_of(BLOB), len(BLOB))
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("server", StoreHandover),
        ("store://localhost:1", StoreHandover),
        ("peer", PeerHandover),
        ("memory://share", FileHandover),
    ],
)
def test_every_way_has_its_name(opened, parties, tmp_path, where, kind):
    settings = HandoverSettings(server="localhost:1", peer=PeerSettings(tmp_path / "own"))
    made = opened.enter_context(contextlib.closing(open_handover(where, RUN, parties["alice"], settings)))
    assert type(made) is kind
    assert bool(made.address) == (kind is PeerHandover)


def test_secrets_of_a_file_system_are_not_shown():
    assert "hunter2" not in repr(HandoverSettings(storage={"secret": "hunter2"}))


def test_a_blob_goes_from_peer_to_peer(peer):
    alice, bob = peer("alice"), peer("bob")
    alice.put(name_of(BLOB), BLOB)
    assert bob.get(name_of(BLOB), len(BLOB), Hint("alice", alice.address)) == BLOB
    with pytest.raises(BlobMissing):
        bob.get(name_of(OTHER), len(OTHER), Hint("alice", alice.address))


def test_a_peer_of_another_name_is_not_asked(peer):
    alice, bob = peer("alice"), peer("bob")
    alice.put(name_of(BLOB), BLOB)
    with pytest.raises(
        AuthenticationFailed, match="should be keras-split://trainer/carol.*of keras-split://trainer/alice"
    ):
        bob.get(name_of(BLOB), len(BLOB), Hint("carol", alice.address))


@pytest.mark.parametrize("holder", ["alice", "server"])
def test_a_servers_certificate_is_no_peers(serve, parties, peer, kept, holder):
    kept.put(RUN, name_of(BLOB), [BLOB])
    address = serve(StoreService(kept), parties["server"])
    with pytest.raises(AuthenticationFailed, match="shows a certificate of keras-split://server/server"):
        peer("bob").get(name_of(BLOB), len(BLOB), Hint(holder, address))


def test_a_peer_of_another_authority_is_not_asked(serve, parties, peer, kept):
    address = serve(StoreService(kept), parties["stranger"])
    with pytest.raises(AuthenticationFailed, match="the same authority"):
        peer("bob").get(name_of(BLOB), len(BLOB), Hint("alice", address))


def test_who_is_exchanged_after_the_look_at_the_certificate_is_not_asked(serve, parties, kept, monkeypatch):
    from keras_split.transport import pinned

    honest = serve(StoreService(kept), parties["alice"])
    kept.put(RUN, name_of(BLOB), [BLOB])
    impostor = serve(StoreService(kept), parties["server"])
    look = pinned._shown
    monkeypatch.setattr(pinned, "_shown", lambda target, credentials: look(honest, credentials))
    connect = partial(open_pinned_channel, impostor, Caller("trainer", "alice"), parties["bob"], Limits())
    handover = StoreHandover(impostor, RUN, connect, LIMITS)
    with contextlib.closing(handover), pytest.raises(AuthenticationFailed):
        handover.get(name_of(BLOB), len(BLOB))


@pytest.mark.parametrize(("caller", "kind"), [("server", Refused), ("stranger", SplitError), ("bob", None)])
def test_a_peers_port_serves_clients_of_the_authority_only(opened, parties, peer, caller, kind):
    alice = peer("alice")
    alice.put(name_of(BLOB), BLOB)
    shown = parties[caller]
    trusting = Credentials(parties["bob"].root_certificate, shown.certificate, shown.private_key)
    connect = partial(open_channel, alice.address, trusting, insecure=False, limits=Limits())
    handover = opened.enter_context(contextlib.closing(StoreHandover(alice.address, RUN, connect, LIMITS)))
    if kind is None:
        assert handover.get(name_of(BLOB), len(BLOB)) == BLOB
        with pytest.raises(Refused, match="offers its own only"):
            handover.put(name_of(OTHER), OTHER)
    else:
        with pytest.raises(kind):
            handover.get(name_of(BLOB), len(BLOB))


def test_what_a_peer_puts_is_in_the_fallback_too_and_comes_from_there_when_it_is_gone(peer, caplog):
    alice, bob = (peer(name, fallback=FileHandover("memory://f", RUN, LIMITS)) for name in ("alice", "bob"))
    alice.put(name_of(BLOB), BLOB)
    alice.close()
    with caplog.at_level(logging.WARNING, "keras_split.exchange.peer"):
        assert bob.get(name_of(BLOB), len(BLOB), Hint("alice", alice.address)) == BLOB
    assert "No connection to" in caplog.text and "fallback" in caplog.text


def test_a_peer_who_lies_is_refused_and_the_fallback_helps(serve, parties, peer, caplog):
    address = serve(Liar(announced(4), pb.Piece(data=b"lies")), parties["alice"])
    store = FileHandover("memory://f", RUN, LIMITS)
    store.put(name_of(BLOB), BLOB)
    alone = peer("bob")
    with pytest.raises(ProtocolError, match="other bytes"):
        alone.get(name_of(BLOB), len(BLOB), Hint("alice", address))
    alone.close()
    assert peer("bob", fallback=store).get(name_of(BLOB), len(BLOB), Hint("alice", address)) == BLOB
    assert "other bytes" in caplog.text


@pytest.mark.parametrize("hint", [None, Hint("alice", "")])
def test_without_a_hint_there_is_no_peer_to_ask(peer, hint):
    with pytest.raises(BlobMissing, match="Nobody has said"):
        peer("bob").get(name_of(BLOB), len(BLOB), hint)


def test_a_peer_that_is_gone_without_a_fallback_is_a_lost_connection(peer):
    alice, bob = peer("alice"), peer("bob")
    alice.close()
    with pytest.raises(ConnectionLost, match="No connection to"):
        bob.get(name_of(BLOB), len(BLOB), Hint("alice", alice.address))


def test_a_peer_keeps_its_own_blobs_over_a_restart_and_alone(peer):
    alice = peer("alice")
    alice.put(name_of(BLOB), BLOB)
    with pytest.raises(OSError, match="Another server keeps blobs"):
        peer("alice")
    alice.close()
    assert peer("alice").get(name_of(BLOB), len(BLOB)) == BLOB


def test_a_peer_keeps_its_own_blobs_however_old_they_are(peer, tmp_path):
    alice = peer("alice")
    alice.put(name_of(BLOB), BLOB)
    alice.close()
    os.utime(tmp_path / "own of alice" / RUN / name_of(BLOB), (0, 0))
    again = peer("alice")
    again.put(name_of(OTHER), OTHER)
    assert peer("bob").get(name_of(BLOB), len(BLOB), Hint("alice", again.address)) == BLOB


def test_a_peer_on_all_addresses_must_say_where_it_is_reached(parties, tmp_path, opened):
    def make(**options):
        made = PeerHandover(tmp_path / "own", RUN, parties["alice"], "0.0.0.0:0", LIMITS, **options)
        return opened.enter_context(contextlib.closing(made))

    with pytest.raises(ValueError, match="advertised="):
        make()
    assert make(advertised="a.example:5").address == "a.example:5"
