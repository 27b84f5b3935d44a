"""KerasTuner searches over split models as over whole ones, and leaves no body behind."""

from __future__ import annotations

import re
import socket
import subprocess
import sys

import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner.errors import FatalError

from keras_split.errors import ConnectionLost, Refused
from keras_split.local import local_server
from keras_split.session import Session
from keras_split.tuning import Objective, SearchEnded, SplitHyperModel
from support.environment import environment
from support.processes import BodyServer, Process
from support.search import (
    CLASSES,
    CUTS,
    FEATURES,
    MAX_TRIALS,
    build,
    build_plainly,
    data,
    random_search,
    search,
    unsplit,
)

pytestmark = [
    # KerasTuner 1.4.8 asks threads for their names in an old way.
    pytest.mark.filterwarnings("ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning"),
    pytest.mark.timeout(300),
]


def hyperband(hypermodel, folder):
    return keras_tuner.Hyperband(hypermodel, "val_loss", max_epochs=2, factor=2, seed=5, directory=folder)


def bayesian(hypermodel, folder):
    options = {"max_trials": 2, "num_initial_points": 1, "seed": 5, "directory": folder}
    return keras_tuner.BayesianOptimization(hypermodel, "val_loss", **options)


def twice_each(hypermodel, folder):
    return random_search(hypermodel, folder, max_trials=1, executions_per_trial=2)


def trials(tuner):
    return [tuner.oracle.trials[each] for each in tuner.oracle.start_order]


def results(tuner):
    """What the search tried, and every number that it found, but for what only split models have."""
    own = {"bytes_sent", "bytes_received", "client_flops", "bytes_per_sample"}
    return [
        (each.hyperparameters.values, each.score, each.best_step)
        + tuple(
            (name, each.metrics.get_best_value(name)) for name in sorted(each.metrics.metrics.keys() - own)
        )
        for each in trials(tuner)
    ]


@pytest.fixture
def placed(monkeypatch):
    """Names of all bodies that are placed on a server."""
    names = []
    original = Session.host

    def host(self, *arguments):
        original(self, *arguments)
        names.append(self._remote.model)

    monkeypatch.setattr(Session, "host", host)
    return names


def assert_gone(names):
    for name in names:
        session = local_server().session()
        session._remote.model = name
        with pytest.raises(Refused, match="has no model"):
            session.status()
        session.close()


class Break(keras.callbacks.Callback):
    """Does something at the beginning of the second epoch of one trial, counted over all copies."""

    def __init__(self, number, action):
        super().__init__()
        self._number, self._action = number, action
        self.begun = []

    def __deepcopy__(self, memo):
        return self

    def on_train_begin(self, logs=None):
        self.begun.append(1)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and len(self.begun) == self._number:
            self._action()


@pytest.mark.parametrize(
    ("make", "model"),
    [
        # Keras 3.15 does not load a trained Adam into a model that was not trained, which Hyperband
        # has to do; so the whole model's search has an optimizer without such variables.
        (hyperband, build_plainly),
        (bayesian, build),
        (twice_each, build),
    ],
)
def test_a_search_over_split_models_finds_what_one_over_whole_models_finds(make, model, tmp_path, placed):
    whole = search(make(unsplit(model, cut=CUTS), tmp_path / "whole"))
    split = search(make(SplitHyperModel(model, CUTS), tmp_path / "split"))
    assert results(split) == results(whole)
    assert {each.status for each in trials(split)} == {"COMPLETED"}
    assert len(placed) == len(set(placed)) >= len(trials(split))
    assert_gone(placed)


def test_summaries_show_what_each_cut_costs(tmp_path, capsys):
    tuner = search(random_search(SplitHyperModel(build), tmp_path, max_trials=2))
    capsys.readouterr()
    tuner.results_summary()
    printed = capsys.readouterr().out
    shown = re.findall(
        r"cut: (\w+)\n.*?FLOPs per sample: ([\d,]+)\nBytes up per sample: (\d+)", printed, re.S
    )
    assert len(shown) == 2
    for trial in trials(tuner):
        values = trial.hyperparameters.values
        width = 8 if values["cut"] in ("middle", "high_drop") else values["units"]
        assert (values["cut"], str(4 * width)) in {(name, count) for name, _, count in shown}


def test_a_price_on_bytes_is_part_of_the_score(tmp_path):
    objective = Objective("val_accuracy", bytes=1e-3)
    tuner = search(
        keras_tuner.RandomSearch(SplitHyperModel(build, CUTS), objective, max_trials=2, directory=tmp_path)
    )
    for trial in trials(tuner):
        found = trial.metrics.get_best_value
        assert trial.score == found("val_accuracy") - 1e-3 * found("bytes_per_sample")


def test_the_best_model_has_the_weights_of_both_halves(tmp_path):
    tuner = search(random_search(SplitHyperModel(build, CUTS), tmp_path))
    # Nothing that a server has kept can have a part in it.
    local_server().stop()
    best = random_search(SplitHyperModel(build, CUTS), tmp_path).get_best_models()[0]
    x, y = data()
    loss, accuracy = best.evaluate(x, y, batch_size=8, verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    assert loss == trial.score
    assert accuracy == trial.metrics.get_best_value("val_accuracy")
    assert (best.whole_model().predict(x, verbose=0) == best.predict(x, verbose=0)).all()
    with pytest.raises(ValueError, match="loaded before its model is used"):
        best.load_weights(tuner._get_checkpoint_fname(trial.trial_id))
    best.close()


def test_a_dead_server_ends_the_search_and_the_next_one_goes_on_from_there(tmp_path, placed):
    hypermodel = SplitHyperModel(build, CUTS)
    breaks = Break(2, lambda: local_server().process.kill())
    with pytest.raises(SearchEnded, match="private server.*`directory` and not `overwrite=True`") as caught:
        search(random_search(hypermodel, tmp_path), callbacks=[breaks])
    assert isinstance(caught.value, FatalError) and isinstance(caught.value.__cause__, ConnectionLost)
    assert len(placed) == 2
    again = search(random_search(hypermodel, tmp_path))
    undisturbed = search(random_search(hypermodel, tmp_path / "undisturbed"))
    assert results(again) == results(undisturbed)
    # One trial was finished before, and is not run again.
    assert len(placed) == 2 + (MAX_TRIALS - 1) + MAX_TRIALS


def test_a_trial_that_fails_by_itself_leaves_no_body_and_ends_no_search(tmp_path, placed):
    def fail():
        raise ValueError("Something of the user's own.")

    tuner = search(random_search(SplitHyperModel(build, CUTS), tmp_path), callbacks=[Break(2, fail)])
    assert [each.status for each in trials(tuner)] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert len(placed) == MAX_TRIALS
    assert_gone(placed)


def test_a_search_uses_a_server_that_accepts_bodies(pki, tmp_path, placed):
    with BodyServer(pki, tmp_path) as server:
        place = server.place()
        tuner = search(random_search(SplitHyperModel(build, CUTS, server=place), tmp_path / "remote"))
        assert len(placed) == MAX_TRIALS
        local = search(random_search(SplitHyperModel(build, CUTS), tmp_path / "local"))
        assert results(tuner) == results(local)
        hypermodel = SplitHyperModel(build, CUTS, server=place)
        with pytest.raises(SearchEnded, match="placed there is gone"):
            search(random_search(hypermodel, tmp_path / "ended"), callbacks=[Break(1, server.kill)])


def test_a_search_without_shared_labels_finds_what_one_over_whole_models_finds(pki, tmp_path):
    space = {"cut": ["low", "low_drop"], "second_cut": ["middle", "high_drop"]}
    whole = search(random_search(unsplit(build, **space), tmp_path / "whole"))
    with BodyServer(pki, tmp_path) as server:
        options = {"second_cut": space["second_cut"], "server": server.place()}
        split = search(random_search(SplitHyperModel(build, space["cut"], **options), tmp_path / "split"))
    assert results(split) == results(whole)
    for trial in trials(split):
        # What the cut lets through goes up, and the gradients of the eight units in the middle.
        assert trial.metrics.get_best_value("bytes_per_sample") == 4 * (trial.hyperparameters["units"] + 8)


def program(folder, log, **variables):
    return Process(["-m", "support.search", str(folder)], folder / log, variables)


def test_a_search_over_alpha_learns_from_rows_without_labels(tmp_path):
    def decoder(hp, shapes):
        return keras.Sequential([keras.Input(shapes[0][1:]), keras.layers.Dense(FEATURES)])

    hypermodel = SplitHyperModel(build, CUTS, alpha=(0.1, 1.0), decoder=decoder)
    tuner = random_search(hypermodel, tmp_path, max_trials=2)
    x, y = data()
    some = np.where(np.arange(len(y)) % 2, y, -1)
    tuner.search(x, some, validation_data=(x, y), epochs=2, batch_size=8, verbose=0)
    for each in trials(tuner):
        alpha = each.hyperparameters.get("alpha")
        assert 0.1 <= alpha <= 1.0
        assert each.metrics.get_best_value("alpha") == pytest.approx(alpha)
        assert each.metrics.exists("val_reconstruction_loss")
    assert tuner.get_best_models()[0].predict(x, verbose=0).shape == (len(x), CLASSES)


def test_a_search_that_was_killed_goes_on(tmp_path):
    with program(tmp_path, "first.log") as first:
        first.line("Trial 2")
        first.kill()
        first.wait()
    finished = tmp_path / "untitled_project" / "trial_0" / "checkpoint.weights.h5"
    before = finished.stat().st_mtime_ns
    with program(tmp_path, "second.log") as second:
        second.line(f"Trial {MAX_TRIALS - 1}")
        second.line("Done")
        assert second.wait() == 0
    assert finished.stat().st_mtime_ns == before
    found = random_search(SplitHyperModel(build, CUTS), tmp_path)
    assert [each.status for each in trials(found)] == ["COMPLETED"] * MAX_TRIALS


def test_a_chief_and_two_workers_share_a_search_though_one_is_killed(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    distributed = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}

    def start(name):
        return program(tmp_path, f"{name}.log", **distributed, KERASTUNER_TUNER_ID=name)

    with start("chief") as chief, start("tuner0") as one, start("tuner1") as killed:
        killed.line("Trial 1")
        killed.kill()
        killed.wait()
        one.line("Trial 1")
        with start("tuner1") as two:
            for worker in (one, two):
                worker.line("Done")
                assert worker.wait() == 0
        for _ in range(MAX_TRIALS):
            chief.line("Client FLOPs per sample: ")
        chief.line("Done")
        assert chief.wait() == 0
    assert len(list(tmp_path.glob("untitled_project/trial_*/checkpoint.weights.h5"))) == MAX_TRIALS


def test_the_package_itself_does_not_need_keras_tuner():
    code = "import sys, keras_split; sys.exit('keras_tuner' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment(), timeout=120).returncode == 0
