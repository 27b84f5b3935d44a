"""Several data owners in turns against one machine that sees the same batches in the same order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras

from keras_split.model import SplitModel
from keras_split.partition import Part, named_variables, partition
from keras_split.state import Bundle, write
from keras_split.verification.digests import (
    Digests,
    Named,
    digest,
    digests_of_server,
    named,
    server_slots,
)
from keras_split.verification.recorder import Recorder, first_difference
from keras_split.verification.rehearsal import Cuts, Rehearsal
from keras_split.verification.report import Report
from keras_split.verification.shards import shards_of
from keras_split.verification.training import Values, differing, fit_from, seeded

_PARTS = ("head", "tail")


def verify_in_turns(
    build: Callable[[], keras.Model],
    cuts: Cuts,
    arguments: Values,
    clients: int,
    handover: str,
    seed: int,
) -> Report:
    """Trains a run, then the whole model on the same batches, and compares.

    Args:
        build: Returns the compiled model.
        cuts: The second one may be None.
        arguments: Of `fit`.
        clients: Data owners.
        handover: The way.
        seed: For weights, shuffling and dropout.

    Raises:
        ValueError: Something that cannot be dealt out, or a way that this cannot be tried with.
    """
    _check(clients, handover)
    turns = list(_turns(arguments, shards_of(arguments, clients)))
    whole = seeded(build, seed)
    sides = partition(whole, *cuts).sides
    found, histories, start = _train_run(whole, cuts, sides["server"], turns, clients, handover, seed)
    _begin_at(sides, *start)
    every = named(sides, whole.optimizer)
    expected = Recorder(lambda: every.digests("client"))
    whole_histories = []
    for _, given in turns:
        whole_histories.append(fit_from(whole, given, seed, expected))
        expected.take(lambda: every.digests("server"))
    return Report(
        cut=" and ".join(str(each) for each in cuts if each is not None),
        steps=expected.steps,
        variables=sum(len(each) for _, each in expected.moments[-2:]),
        difference=first_difference(expected.moments, found.moments, every.shown),
        history_differences=differing(whole_histories, histories, {}),
        clients=clients,
        turns=len(turns),
    )


def _check(clients: int, handover: str) -> None:
    if not isinstance(clients, int) or clients < 1:
        raise ValueError(f"`clients` is a whole number above 0. Received: clients={clients!r}.")
    if handover.startswith("store://"):
        raise ValueError(
            "The keys of this trial are made up, and no store that runs already takes their certificates. "
            f"Try 'server', 'peer' or a folder. Received: handover={handover!r}."
        )


def _turns(arguments: Values, shards: Sequence[Values]) -> Iterator[tuple[int, Values]]:
    """Whose turn it is, and the arguments of `fit` in it: an epoch of a shard each, round robin."""
    for epoch in range(arguments.get("initial_epoch", 0), arguments["epochs"]):
        for client, shard in enumerate(shards):
            yield client, {**arguments, **shard, "initial_epoch": epoch, "epochs": epoch + 1}


def _train_run(
    model: keras.Model,
    cuts: Cuts,
    body: Sequence[Part],
    turns: list[tuple[int, Values]],
    clients: int,
    handover: str,
    seed: int,
) -> tuple[Recorder, list[Values], tuple[Bundle, Bundle]]:
    """Has members made up and trained; returns digests, Histories, and where both halves began."""
    names = [f"client-{at + 1}" for at in range(clients)]
    with contextlib.ExitStack() as opened:
        rehearsal = Rehearsal(model, cuts, names)
        opened.callback(rehearsal.stop)
        members = [rehearsal.connect(name, handover) for name in names]
        for member in members:
            opened.callback(member.close)
        slots = server_slots(body, model.optimizer)
        run = _Run(rehearsal, members, slots)
        histories = [run.fit(client, given, seed) for client, given in turns]
        return run.recorder, histories, run.start


class _Run:
    """The members' training, with all that is remembered of it."""

    def __init__(self, rehearsal: Rehearsal, members: list[SplitModel], slots: list[str]):
        self._rehearsal = rehearsal
        self._members = members
        self._slots = slots
        self._now = members[0]
        self._body = rehearsal.body()
        self._client: Bundle = {}
        self._own: dict[SplitModel, Named] = {}
        self.recorder = Recorder(self._client_digests)

    @property
    def start(self) -> tuple[Bundle, Bundle]:
        """Where client and server began."""
        return self._client, self._body

    def fit(self, client: int, given: Values, seed: int) -> Values:
        """A turn."""
        self._now = self._members[client]
        history = fit_from(self._now, given, seed, self.recorder)
        self.recorder.take(self._server_digests)
        return history

    def _client_digests(self) -> Digests:
        if not self._client and self._now._ownership is not None:
            # What the run's secret gave; the first step is still to come.
            self._client = self._now._ownership.state.read()
        if self._now not in self._own:
            self._own[self._now] = named({"client": self._now._halves.own}, self._now.optimizer)
        return self._own[self._now].digests()

    def _server_digests(self) -> Digests:
        found = {name: digest(each) for name, each in self._rehearsal.body().items()}
        return digests_of_server(found, self._slots)


def _begin_at(sides: Mapping[str, Sequence[Part]], client: Bundle, body: Bundle) -> None:
    """Takes the whole model to where a run began; its optimizer is as new as the run's."""
    for name, part in zip(_PARTS, sides["client"], strict=False):
        prefix = f"{name}/"
        own = {key.removeprefix(prefix): each for key, each in client.items() if key.startswith(prefix)}
        write(named_variables(part.model), own)
    for part in sides["server"]:
        own = {name: each for name, each in body.items() if not name.startswith("optimizer/")}
        write(named_variables(part.model), own)
