"""The clients' weights, keys and data are nowhere where others could look: memory, disk, logs, traffic."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest

from keras_split import SplitModel
from keras_split.crypto import Identity, Link, open_envelope, read_rosters
from keras_split.partition import named_variables
from keras_split.state import Shelf
from support import bodies
from support.processes import Process
from support.proxy import Proxy
from support.run import Member, RunFiles

ROWS = (0, 16)


def memory_of(pid: int) -> bytes:
    """All that a process could read and write of its own."""
    found = []
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, end, kind = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if not kind.startswith("rw"):
                continue
            with contextlib.suppress(OSError, OverflowError):
                memory.seek(int(start, 16))
                found.append(memory.read(int(end, 16) - int(start, 16)))
    return b"".join(found)


def files_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def pieces(array: np.ndarray) -> bytes:
    """A part that is long enough to be in one place only."""
    return np.ascontiguousarray(array).tobytes()[:48]


def serve(files: RunFiles, folder: Path) -> Process:
    """The server, on a line that can be read by everybody."""
    command = ["serve", "support.bodies:small", "--cut", bodies.CUT, "--port", "0", "--insecure"]
    run = ["--roster", str(files.roster), "--checkpoint-dir", str(folder / "state"), "--seed", "1"]
    turns = ["--absence-seconds", "0", "--commit-every", "1"]
    return Process(["-m", "keras_split", *command, *run, *turns], folder / "server.log")


def keep(folder: Path) -> Process:
    """The store, likewise."""
    command = ["store", "--listen", "127.0.0.1:0", "--insecure", "--folder", str(folder / "blobs")]
    return Process(["-m", "keras_split", *command], folder / "store.log")


@pytest.fixture(scope="module")
def after_a_run(tmp_path_factory):
    """What is left everywhere after one owner has trained and handed over by a store."""
    folder = tmp_path_factory.mktemp("canaries")
    files = RunFiles(folder, ["hospital-a", "hospital-b"])
    for name in ("server", "store"):
        (folder / name).mkdir()
    with (
        serve(files, folder / "server") as server,
        keep(folder / "store") as store,
        Proxy(server.line("Listening on ")) as line,
        Proxy(store.line("Listening on ")) as stores_line,
    ):
        way = f"store://{stores_line.address}"
        options = {"rows": ROWS, "epochs": 1, "handover": way, "certificates": ""}
        with Member(files, folder / "a", "hospital-a", line.address, **options) as member:
            member.until_done()
        split = SplitModel.connect(
            line.address,
            insecure=True,
            identity=files.identities["hospital-b"],
            roster=files.roster,
            handover=way,
        )
        split.refresh()
        weights = [np.array(each) for each in named_variables(split.head).values()]
        places = {
            "the server's memory": memory_of(server.pid),
            "the store's memory": memory_of(store.pid),
            "the server's disk": files_of(folder / "server"),
            "the store's disk": files_of(folder / "store"),
            "the server's traffic": bytes(line.sent_up) + bytes(line.sent_down),
            "the store's traffic": bytes(stores_line.sent_up) + bytes(stores_line.sent_down),
        }
        _, body, _ = Shelf(folder / "server" / "state" / files.run / "commits").latest()
        split.close()
    return places, weights, body, files


def links_of(files: RunFiles) -> list[Link]:
    links = files.folder / "server" / "state" / files.run / "links"
    return [Link.read(path.read_bytes()) for path in sorted(links.iterdir())]


def sealed(files: RunFiles, link: Link) -> bytes:
    """As it is kept by the store."""
    return (files.folder / "store" / "blobs" / files.run / link.blob).read_bytes()


def test_what_the_server_has_is_seen_in_its_memory_and_on_its_disk(after_a_run):
    places, _, body, _ = after_a_run
    canary = pieces(max(body.values(), key=lambda each: each.nbytes))
    assert canary in places["the server's memory"]
    assert canary in places["the server's disk"]
    assert b"hospital-a" in places["the server's traffic"]


def test_what_the_store_has_is_seen_in_its_memory_on_its_disk_and_in_its_traffic(after_a_run):
    places, _, _, files = after_a_run
    blob = sealed(files, links_of(files)[-1])
    parts = [blob[at : at + 48] for at in range(0, len(blob) - 48, 48)]
    for where in ("the store's disk", "the store's traffic"):
        assert all(each in places[where] for each in parts), where
    # It has let go of the blob, and what it has let go of may be written over here and there.
    assert any(each in places["the store's memory"] for each in parts)


def test_no_weight_of_the_clients_is_anywhere_else(after_a_run):
    places, weights, _, _ = after_a_run
    canaries = [pieces(each) for each in weights if each.nbytes >= 48 and len(np.unique(each)) > 4]
    assert len(canaries) >= 3
    found = [where for where, content in places.items() for canary in canaries if canary in content]
    assert not found


def test_no_key_of_the_clients_is_anywhere_else(after_a_run):
    places, _, _, files = after_a_run
    keys = [secret_of(files.identities[name]) for name in files.names]
    secrets = [*keys, secret_of_the_run(files)]
    assert all(len(each) >= 32 for each in secrets)
    found = [where for where, content in places.items() for each in secrets if each in content]
    assert not found


def test_no_raw_row_is_anywhere_else(after_a_run):
    places, _, _, _ = after_a_run
    x, _ = bodies.data()
    rows = [row.tobytes() for row in x[slice(*ROWS)]]
    found = [where for where, content in places.items() for row in rows if row in content]
    assert not found


def secret_of_the_run(files: RunFiles) -> bytes:
    """Of which all first weights are made."""
    first = links_of(files)[0]
    roster = read_rosters(files.roster.read_text())[-1]
    return open_envelope(files.identities["hospital-b"], roster, first, sealed(files, first))


def secret_of(identity: Identity) -> bytes:
    return identity._secret
