"""Members of a run in threads of this process, and one machine that sees the same batches in the same order.

The protocol, the line and the server are real ones; that members are processes of their own is not
what these laws are about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_split import Credentials, Places, SplitModel
from keras_split.crypto import Link, open_envelope, read_rosters
from keras_split.partition import named_variables, partition
from keras_split.state import Bundle, Shelf, write
from support import bodies
from support.halves import whole_model
from support.pairs import trace_once
from support.processes import Process
from support.run import RunFiles
from support.stores import Store

_READY = "Listening on "


@dataclass(frozen=True)
class Trial:
    """A run.

    Args:
        rows: Of each member; a member has the rows behind those of the one before.
        build: Makes the compiled model; the server imports it.
        cut: Of the model.
        second_cut: Of the model; empty to share labels.
        batch: Rows of a step.
        epochs: Of each member.
        quota: Length of a turn, as `--steps-per-turn` has it.
        commit_every: Steps between commits within a turn.
        full_every: Envelopes between full states.
        handover: The way; `{folder}` stands for the test's, and `store` for one that is started.
    """

    rows: Sequence[int]
    build: Callable[[], keras.Model] = bodies.small
    cut: str = bodies.CUT
    second_cut: str = ""
    batch: int = bodies.BATCH
    epochs: int = 2
    quota: str = "epoch"
    commit_every: int = 0
    full_every: int = 16
    handover: str = "server"

    @property
    def names(self) -> list[str]:
        """Of the members, in the order of their turns."""
        return [f"owner-{at}" for at in range(len(self.rows))]

    @property
    def shards(self) -> list[slice]:
        """Rows of each."""
        ends = np.cumsum([0, *self.rows]).tolist()
        return [slice(*each) for each in pairwise(ends)]

    @property
    def cuts(self) -> tuple[str, str | None]:
        """As `partition` takes them."""
        return self.cut, self.second_cut or None

    def in_order(self) -> list[slice]:
        """All batches, as turns round robin bring them."""
        left = [self._batches(each) * self.epochs for each in self.shards]
        found: list[slice] = []
        while any(left):
            for shard, batches in zip(self.shards, left, strict=True):
                count = len(self._batches(shard)) if self.quota == "epoch" else int(self.quota)
                found += batches[:count]
                del batches[:count]
        return found

    def _batches(self, rows: slice) -> list[slice]:
        starts = range(rows.start, rows.stop, self.batch)
        return [slice(start, min(start + self.batch, rows.stop)) for start in starts]


class ServerOfRuns(Process):
    """`python -m support.many_runs`."""

    def __init__(self, log: Path):
        super().__init__(["-m", "support.many_runs"], log)

    def serve(self, trial: Trial, files: RunFiles) -> str:
        """Starts a server of a run; returns its address."""
        said = {
            "source": f"{trial.build.__module__}:{trial.build.__name__}",
            "cut": [trial.cut],
            "second_cut": [trial.second_cut] if trial.second_cut else [],
            "certificates": str(files.pki / "server"),
            "folder": str(files.folder / "server"),
            "roster": str(files.roster),
            "seed": bodies.SEED,
            "quota": trial.quota,
            "commit_every": trial.commit_every,
            "order": "round-robin",
        }
        self.say(json.dumps(said))
        return self.line(_READY)


class Owners:
    """The members of a run.

    Args:
        trial: The run.
        files: Its keys.
        splits: The members' models.
    """

    def __init__(self, trial: Trial, files: RunFiles, splits: Sequence[SplitModel]):
        self.trial = trial
        self.splits = splits
        self._files = files
        self._kept = files.folder / "server" / files.run
        self.first_body = self.body()

    def train(
        self, x: np.ndarray, y: np.ndarray, callbacks: Callable[[], list[Any]] = list
    ) -> list[dict[str, list[float]]]:
        """Has all train their rows at the same time, each in its turns; returns their Histories."""

        def fit(split: SplitModel, rows: slice) -> dict[str, list[float]]:
            given = {"batch_size": self.trial.batch, "epochs": self.trial.epochs, "shuffle": False}
            # Of each member its own: a callback has one model.
            history = split.fit(x[rows], y[rows], callbacks=callbacks(), verbose=0, **given)
            return dict(history.history)

        with ThreadPoolExecutor(len(self.splits)) as threads:
            return list(threads.map(fit, self.splits, self.trial.shards))

    def body(self) -> Bundle:
        """The server's state of the last commit."""
        found = Shelf(self._kept / "commits").latest()
        assert found is not None
        return found[1]

    def links(self) -> list[Link]:
        """Of all commits."""
        return [Link.read(path.read_bytes()) for path in (self._kept / "links").glob("*.link")]

    def connect(self, half: SplitModel) -> SplitModel:
        """Gives a loaded half the run's server, by the first member's certificate."""
        credentials = Credentials.from_directory(self._files.pki / self.trial.names[0])
        return half.connect(self.splits[0]._halves.session().target, credentials)

    def newest(self) -> SplitModel:
        """A member that has taken over the run's last state, which another one has left."""
        self.splits[0].refresh()
        return self.splits[0]

    def first_state(self) -> Bundle:
        """What the run's secret expands to; the first member, who made it, is left there."""
        ownership = self.splits[0]._ownership
        assert ownership is not None
        link = min(self.links(), key=lambda each: each.header.number)
        secret = open_envelope(
            self._files.identities[self.trial.names[0]],
            read_rosters(self._files.roster.read_text())[-1],
            link,
            ownership.owner._handover.get(link.blob, link.size),
        )
        return ownership.state.expand(secret)


@contextmanager
def owners_of(trial: Trial, server: ServerOfRuns, folder: Path, **options: Any) -> Iterator[Owners]:
    """Makes keys, has the run served, and connects its members.

    Args:
        trial: The run.
        server: Where.
        folder: For all files.
        options: Further arguments of `SplitModel.connect`, each a function that makes one.
    """
    files = RunFiles(folder, trial.names)
    address = server.serve(trial, files)
    with ExitStack() as opened:
        where = trial.handover.format(folder=folder / "share")
        if where == "store":
            (folder / "store").mkdir()
            where = f"store://{opened.enter_context(Store(files.pki, folder / 'store')).address}"
        splits = []
        for name in trial.names:
            split = SplitModel.connect(
                address,
                Credentials.from_directory(files.pki / name),
                identity=files.key(name),
                roster=files.roster,
                handover=Places(where, full_every=trial.full_every),
                **{key: make() for key, make in options.items()},
            )
            opened.callback(split.close)
            splits.append(split)
        yield Owners(trial, files, splits)


def one_machine(trial: Trial, client: Bundle, body: Bundle, x: np.ndarray, y: np.ndarray) -> keras.Model:
    """What has seen the same batches in the same order, from the same beginning.

    Args:
        trial: The run.
        client: The clients' state at the beginning.
        body: The server's.
        x: All rows.
        y: Their labels.
    """
    whole = whole_model(trial.build)
    begin_at(whole, trial.cuts, client, body)
    trace_once(whole)
    whole.fit(stream_of(trial.in_order(), x, y), shuffle=False, verbose=0)
    return whole


def begin_at(whole: keras.Model, cuts: tuple[str, str | None], client: Bundle, body: Bundle) -> None:
    """Takes a whole model to the beginning of a run."""
    parts = partition(whole, *cuts)
    for name, part in zip(("head", "tail"), parts.sides["client"], strict=False):
        write(named_variables(part.model), part_of(client, name))
    own = {name: each for name, each in body.items() if not name.startswith("optimizer/")}
    write(named_variables(parts.body.model), own)


def part_of(client: Bundle, name: str) -> Bundle:
    """The variables of one of the client's models."""
    start = f"{name}/"
    return {key.removeprefix(start): each for key, each in client.items() if key.startswith(start)}


def stream_of(batches: Sequence[slice], x: np.ndarray, y: np.ndarray) -> tf.data.Dataset:
    """One data set of batches whose sizes vary."""
    kinds = tuple(tf.TensorSpec([None, *each.shape[1:]], each.dtype) for each in (x, y))
    found = tf.data.Dataset.from_generator(lambda: ((x[at], y[at]) for at in batches), output_signature=kinds)
    return found.apply(tf.data.experimental.assert_cardinality(len(batches)))
