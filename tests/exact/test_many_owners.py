"""Several data owners in turns train what one machine trains that sees the same batches in the same order."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import keras
import numpy as np
import pytest

import keras_split
from keras_split import Credentials, SplitModel
from keras_split.errors import NotFinite, Refused, VersionMismatch
from keras_split.partition import named_variables, partition
from keras_split.state import optimizer_variables, read, write
from support import bodies, by_hand
from support.equality import assert_same_arrays, client_state, states_of_whole
from support.halves import label_slots
from support.owners import Owners, ServerOfRuns, Trial, begin_at, one_machine, owners_of, part_of
from support.run import (
    Member,
    RunFiles,
    RunServer,
    as_batches,
    client_state_at_the_beginning,
    whole_in_turns,
)

# Uneven, and the last batch of one is not full.
ROWS = (16, 11, 13)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerOfRuns(tmp_path_factory.mktemp("servers") / "log") as process:
        yield process


def assert_as_one_machine(owners: Owners, first, x, y) -> None:
    """Passes if every variable of both sides is that of one machine, to the last bit."""
    trial = owners.trial
    client = client_state(owners.newest())
    whole = one_machine(trial, first, owners.first_body, x, y)
    expected = states_of_whole(whole, *trial.cuts)
    assert_same_arrays(expected[0], client, "client")
    second_cut = [trial.second_cut] if trial.second_cut else None
    assert_same_arrays(expected[1], label_slots(owners.body(), second_cut, trial.build), "server")


TRIALS = {
    "one owner": Trial((40,), epochs=1),
    "an epoch each, all gradients looked at, a folder": Trial(
        ROWS, bodies.careful, handover="file://{folder}"
    ),
    "3 steps each, momentum, a schedule, peers": Trial(
        (27, 13), bodies.scheduled, quota="3", handover="peer", full_every=2
    ),
    "commits within a turn, full states, a store": Trial(
        ROWS, quota="2", commit_every=1, full_every=1, handover="store"
    ),
    "label-free, 3 steps each": Trial(ROWS, second_cut="high_drop", quota="3"),
    "label-free, an epoch each": Trial((24, 16), bodies.scheduled, second_cut="high_norm", commit_every=2),
    "ten owners": Trial((2, 4, 6, 2, 4, 6, 4, 4, 2, 6), batch=2, epochs=1, quota="2"),
}


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS.keys())
def test_owners_in_turns_train_as_one_machine(server, tmp_path, trial):
    x, y = bodies.data()
    with owners_of(trial, server, tmp_path) as owners:
        owners.train(x, y)
        assert_as_one_machine(owners, owners.first_state(), x, y)


def test_full_states_go_as_often_as_is_asked_for(server, tmp_path):
    trial = Trial((16, 8), epochs=1, quota="1", full_every=2)
    with owners_of(trial, server, tmp_path) as owners:
        owners.train(*bodies.data())
        kinds = [link.header.kind for link in sorted(owners.links(), key=lambda link: link.header.number)]
    assert kinds == ["secret", "delta", "full", "delta"]


def test_a_member_keeps_what_was_trained_and_predicts_with_it_as_one_machine(server, tmp_path):
    trial, (x, y) = Trial((8, 8), epochs=1), bodies.data()
    with owners_of(trial, server, tmp_path) as owners:
        owners.train(x, y)
        owners.splits[0].save(tmp_path / "older.keras")
        owners.newest().save(tmp_path / "newest.keras")
        found = owners.newest().predict(x, verbose=0)
        loaded = owners.connect(keras.models.load_model(tmp_path / "newest.keras"))
        assert_same_arrays({"": found}, {"": loaded.predict(x, verbose=0)}, "loaded")
        whole = one_machine(trial, owners.first_state(), owners.first_body, x, y)
        assert_same_arrays({"": whole.predict(x, verbose=0)}, {"": found}, "split")
        with pytest.raises(VersionMismatch, match="of update 1.*of update 2.*refresh"):
            owners.connect(keras.models.load_model(tmp_path / "older.keras")).predict(x, verbose=0)
        for goes_back in ("load_weights", "set_weights"):
            with pytest.raises(Refused, match="nobody goes back to other weights"):
                getattr(owners.newest(), goes_back)(tmp_path / "older.keras")
        assert_same_arrays({"": owners.newest().predict(x, verbose=0)}, {"": found}, "after a refusal")


def test_a_run_begins_as_the_servers_settings_say_whatever_a_member_has_set_before(server, tmp_path):
    trial, (x, y) = Trial((8, 8), epochs=1), bodies.data()
    with owners_of(trial, server, tmp_path) as owners:
        first, second = owners.splits
        first.optimizer.learning_rate = 0.5
        second.compile(metrics=["accuracy"])
        second.optimizer.learning_rate = 0.25
        second.head.set_weights([each + 1 for each in second.head.get_weights()])
        owners.train(x, y)
        assert_as_one_machine(owners, owners.first_state(), x, y)


def test_a_member_whose_training_diverged_hands_nothing_over_and_trains_again(server, tmp_path):
    trial, (x, y) = Trial((8, 8), epochs=1), bodies.data()
    with owners_of(trial, server, tmp_path) as owners:
        with pytest.raises(NotFinite, match="not handed over"):
            owners.splits[0].fit(np.full_like(x[:8], np.nan), y[:8], shuffle=False, verbose=0)
        for split, rows in zip(owners.splits, trial.shards, strict=True):
            split.fit(x[rows], y[rows], batch_size=trial.batch, shuffle=False, verbose=0)
        assert_as_one_machine(owners, owners.first_state(), x, y)


class CallsOfWaiting(keras_split.callbacks.TurnWatcher):
    """What a member keeps open at the server while the turn is another's."""

    def __init__(self, split):
        super().__init__()
        self.split = split
        self.open = []

    def on_turn_wait(self, waiting):
        self.open.append(set(self.split._halves.session()._remote.streams))

    def on_turn_end(self, turn):
        self.split.predict(bodies.data()[0][:1], verbose=0)


# The other one trains while this one predicts.
@pytest.mark.filterwarnings("ignore:The server's half has seen")
def test_a_member_that_waits_has_no_call_open_whatever_it_did_in_its_turn(server, tmp_path):
    trial, (x, y) = Trial((8, 8)), bodies.data()
    with owners_of(trial, server, tmp_path) as owners, ThreadPoolExecutor() as threads:
        watchers = list(map(CallsOfWaiting, owners.splits))

        def fit(watcher, rows):
            given = {"epochs": trial.epochs, "validation_data": (x, y), "shuffle": False, "verbose": 0}
            watcher.split.fit(x[rows], y[rows], callbacks=[watcher], **given)

        list(threads.map(fit, watchers, trial.shards))
    waited = list(chain.from_iterable(each.open for each in watchers))
    assert waited and not any(waited)


@pytest.mark.parametrize("second_cut", ["", by_hand.SECOND_CUT], ids=["labels shared", "label-free"])
def test_owners_with_a_decoder_learn_from_both_losses_as_one_machine(server, tmp_path, second_cut):
    trial = Trial((16, 8), by_hand.served, by_hand.CUT, second_cut, quota="1")
    with owners_of(trial, server, tmp_path, decoder=by_hand.decoder) as owners:
        owners.train(by_hand.X, by_hand.GAP, lambda: [keras_split.SemiSupervised(0.3)])
        first = owners.first_state()
        reference = by_hand.ByHand(by_hand.OPTIMIZERS["adam"], 0.3, bool(second_cut))
        begin_at(reference.model, trial.cuts, first, owners.first_body)
        write(named_variables(reference.decoder), part_of(first, "decoder"))
        for rows in trial.in_order():
            reference.fit(by_hand.X[rows], by_hand.GAP[rows], epochs=1)
        found = owners.newest()._ownership.state.read()
        body = owners.body()
    parts = partition(reference.model, *trial.cuts)
    models = {"decoder": reference.decoder, "head": parts.head.model}
    if second_cut:
        models["tail"] = parts.tail.model
    client = {
        f"{name}/{path}": each
        for name, model in models.items()
        for path, each in named_variables(model).items()
    }
    assert_same_arrays(read(client), without_optimizer(found), "client")
    assert_same_arrays(read(named_variables(parts.body.model)), without_optimizer(body), "server")
    for optimizer, state in ((reference.client, found), (reference.server, body)):
        assert bits(read(optimizer_variables(optimizer))) == bits(optimizer_only(state))


def without_optimizer(state):
    return {name: each for name, each in state.items() if not name.startswith("optimizer/")}


def optimizer_only(state):
    return {name: each for name, each in state.items() if name.startswith("optimizer/")}


def bits(state) -> list[tuple[tuple[int, ...], bytes]]:
    """Of all arrays, in whatever order: the two sides list an optimizer's variables differently."""
    return sorted((each.shape, each.tobytes()) for each in state.values())


EPOCHS = 2
# Uneven, and the last batch of one is not full.
SHARDS = {"hospital-a": (0, 16), "hospital-b": (16, 27), "hospital-c": (27, 40)}


def train_in_turns(files, server, folder, **options):
    """Has every member train; returns their Histories."""
    with contextlib.ExitStack() as running:
        members = [
            running.enter_context(
                Member(files, folder / name, name, server.address, rows=rows, epochs=EPOCHS, **options)
            )
            for name, rows in SHARDS.items()
        ]
        return [member.until_done() for member in members]


@pytest.mark.parametrize("handover", ["server"])
def test_owners_in_processes_of_their_own_train_as_one_machine(tmp_path, handover):
    files = RunFiles(tmp_path, list(SHARDS))
    (tmp_path / "server").mkdir()
    with RunServer(files, tmp_path / "server", "--steps-per-turn", "epoch") as server:
        train_in_turns(files, server, tmp_path, handover=handover)
        name = "hospital-a"
        split = SplitModel.connect(
            server.address,
            Credentials.from_directory(files.pki / name),
            identity=files.identities[name],
            roster=files.roster,
        )
        get = split._ownership.owner._handover.get
        start = client_state_at_the_beginning(server, get, name, split)
        order = [as_batches(slice(*rows)) for rows in SHARDS.values()] * EPOCHS
        whole = whole_in_turns(start, list(chain.from_iterable(order)))
        split.refresh()
        client, body = states_of_whole(whole, bodies.CUT)
        assert_same_arrays(client, client_state(split), "client")
        assert_same_arrays(body, label_slots(server.body()), "server")
        split.close()
