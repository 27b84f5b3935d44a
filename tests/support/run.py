"""A run of several data owners: keys, roster, server and clients, each in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from keras_split import certs
from keras_split.crypto import Identity, Link, create_roster, open_envelope, read_rosters
from keras_split.model.client_state import ClientState
from keras_split.partition import named_variables, partition
from keras_split.state import Bundle, Shelf
from support import bodies
from support.halves import whole_model
from support.processes import Process, Server

Shards = dict[str, slice]


class RunFiles:
    """Keys, certificates and the roster of a run.

    Args:
        folder: For all of them.
        names: The members.
    """

    def __init__(self, folder: Path, names: Sequence[str]):
        self.folder = folder
        self.names = list(names)
        self.pki = folder / "pki"
        certs.create(self.pki, clients=self.names, store=["localhost", "127.0.0.1"])
        owner = Identity.generate("owner")
        self.identities = {name: Identity.generate(name, post_quantum=False) for name in names}
        for name, identity in self.identities.items():
            identity.save(self.key(name))
        members = [each.member for each in self.identities.values()]
        self.roster = folder / "roster.json"
        self.roster.write_text(create_roster(members, [owner.member], signers=[owner]))

    @property
    def run(self) -> str:
        return read_rosters(self.roster.read_text())[-1].run

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"


class RunServer(Server):
    """`keras-split serve --roster`."""

    def __init__(
        self, files: RunFiles, folder: Path, *options: str, source: str = "support.bodies:small", port=0
    ):
        self.files = files
        roster = ["--seed", str(bodies.SEED), "--roster", str(files.roster)]
        super().__init__(files.pki, folder, source, bodies.CUT, *roster, *options, port=port)

    @property
    def run_folder(self) -> Path:
        return self.checkpoints / self.files.run

    def body(self) -> Bundle:
        """The body of the last commit."""
        found = Shelf(self.run_folder / "commits", in_one_line=True).latest()
        assert found is not None
        return found[1]

    def links(self) -> list[Link]:
        """Of all commits."""
        return [Link.read(path.read_bytes()) for path in sorted((self.run_folder / "links").glob("*.link"))]


class Member(Process):
    """`python -m support.member`: trains its shard, and says `Done`.

    Args:
        files: Of the run.
        folder: For its log and its own files.
        name: Who it is.
        address: Of the server.
        options: As `support.member` reads them.
    """

    def __init__(self, files: RunFiles, folder: Path, name: str, address: str, **options):
        self.name = name
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        said = {
            "address": address,
            "certificates": str(files.pki / name),
            "identity": str(files.key(name)),
            "roster": str(files.roster),
            **options,
        }
        super().__init__(["-m", "support.member", json.dumps(said)], folder / f"{name}.log")

    def until_done(self, seconds: float = 240) -> dict[str, list[float]]:
        """Its History."""
        return json.loads(self.line("Done", seconds))


def client_state_at_the_beginning(server: RunServer, blobs, name: str, split) -> Bundle:
    """What the run's secret expands to, for a member that may open it."""
    link = server.links()[0]
    roster = read_rosters(server.files.roster.read_text())[-1]
    secret = open_envelope(server.files.identities[name], roster, link, blobs(link.blob, link.size))
    return ClientState(split, split._halves).expand(secret)


def whole_in_turns(start: Bundle, batches: Sequence[slice], build=bodies.small):
    """One machine that has seen the same batches in the same order, from the same beginning.

    Args:
        start: The client's state.
        batches: Rows of `bodies.data()`.
        build: Makes the model.
    """
    whole = whole_model(build)
    parts = partition(whole, bodies.CUT)
    variables = {f"head/{name}": each for name, each in named_variables(parts.head.model).items()}
    for name, variable in variables.items():
        variable.assign(start[name])
    x, y = bodies.data()
    for rows in batches:
        whole.train_on_batch(x[rows], y[rows])
    return whole


def as_batches(rows: slice, size: int = bodies.BATCH) -> list[slice]:
    """Batches of a shard, the last one possibly smaller."""
    starts = range(rows.start, rows.stop, size)
    return [slice(start, min(start + size, rows.stop)) for start in starts]
