"""However often `fit` goes on after a fault, it is one training, and ends as an undisturbed one."""

from __future__ import annotations

import csv

import keras
import numpy as np
import pytest
from keras.callbacks import CallbackList, CSVLogger, EarlyStopping, LambdaCallback, ReduceLROnPlateau

from keras_split.callbacks import TurnWatcher
from keras_split.crypto import Trained
from keras_split.errors import ConnectionLost
from keras_split.model import fitting
from support.in_attempts import BATCHES, IN_ORDER, Alone, Commits, batched, fit

ONLY_SPLIT = ("bytes_sent", "bytes_received")
VALIDATION = {"validation_data": batched(4)}


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(fitting, "_FIRST_PAUSE_SECONDS", 0.0)


def undisturbed(steps_per_execution=1, **given):
    """Keras' own model and History."""
    model = Alone(steps_per_execution=steps_per_execution)
    return model, model.fit(**{**IN_ORDER, "x": batched(), **given})


@pytest.fixture(scope="module")
def plain():
    """Four epochs, of which two are validated."""
    return undisturbed(epochs=4, validation_freq=2, **VALIDATION)


def values(history):
    return {name: each for name, each in history.history.items() if name not in ONLY_SPLIT}


def assert_same_weights(one, other):
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


FAULTS = {
    "none": (set(), {}),
    "in steps": ({3, 11, 20}, {}),
    "commits are lost": (set(), {"loses": {0, 2, 3}}),
    "replies are lost": (set(), {"loses_replies": {1, 3}}),
    "in the third epoch of a turn": ({12}, {"quota": "3 epochs"}),
    "in a turn of steps": ({7, 19}, {"quota": "5"}),
}


@pytest.mark.parametrize(("fails", "faults"), FAULTS.values(), ids=FAULTS.keys())
def test_a_training_with_faults_has_the_weights_and_the_history_of_an_undisturbed_one(plain, fails, faults):
    model = Alone(fails)
    history = fit(model, Commits(model, **faults), epochs=4, validation_freq=2, **VALIDATION)
    whole, expected = plain
    assert_same_weights(whole, model)
    assert (history.epoch, values(history)) == (expected.epoch, values(expected))
    assert model.history is history


@pytest.mark.parametrize("fails", [set(), {3, 11}], ids=["undisturbed", "with faults"])
def test_a_rate_that_a_callback_sets_for_an_epoch_holds_whatever_the_last_holder_left(fails):
    def scheduler():
        return keras.callbacks.LearningRateScheduler(lambda epoch: 0.05 / (epoch + 1))

    model, whole = Alone(fails), Alone()
    history = fit(model, Commits(model), [scheduler()], epochs=3)
    expected = whole.fit(**{**IN_ORDER, "x": batched(), "epochs": 3, "callbacks": [scheduler()]})
    assert_same_weights(whole, model)
    assert values(history) == expected.history


class Countable(Alone):
    """Knows how often its step was made anew."""

    made = 0

    def make_train_function(self, force=False):
        self.made += self.train_function is None
        super().make_train_function(force)


def test_what_is_traced_after_a_fault_is_not_the_function_whose_tracing_may_have_broken_off():
    model = Countable({0})
    fit(model, Commits(model), epochs=1)
    assert model.made == 2


def test_an_epoch_whose_steps_had_all_been_trained_before_is_not_in_the_history(plain):
    model = Alone()
    # The one behind the last step of an epoch.
    commits = Commits(model, "1000", commit_every=BATCHES, loses_replies={1})
    history = fit(model, commits, epochs=4, validation_freq=2, **VALIDATION)
    whole, expected = plain
    assert_same_weights(whole, model)
    losses = expected.history["loss"]
    assert (history.epoch, history.history["loss"]) == ([0, 2, 3], [losses[0], *losses[2:]])


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("is_counted", [True, False], ids=["known size", "unknown size"])
def test_executions_that_are_not_full_count_the_steps_that_they_had(is_counted):
    batches = batched() if is_counted else batched().filter(lambda *_: True)
    model = Alone({7}, steps_per_execution=2)
    commits = Commits(model, "1000", commit_every=1)
    fit(model, commits, x=batches, epochs=3)
    whole, _ = undisturbed(2, x=batches, epochs=3)
    assert_same_weights(whole, model)
    counted = [Trained(epoch, steps) for epoch in range(3) for steps in (2, 4, BATCHES)]
    assert [each for each, _ in commits.asked] == counted


def test_data_that_have_become_fewer_do_not_cost_steps_of_the_next_epoch():
    model = Alone()
    fit(model, Commits(model, trained=Trained(0, 4)), x=batched(4), epochs=2)
    assert int(model.optimizer.iterations) == 2


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_what_is_shuffled_anew_is_refused_where_turns_end_in_the_midst_of_it():
    class Pieces(keras.utils.PyDataset):
        num_batches = 5

        def __getitem__(self, at):
            return np.zeros((2, 3)), np.zeros((2, 1))

    model = Alone()
    with pytest.raises(ValueError, match="shuffles arrays and PyDatasets"):
        fit(model, Commits(model, "3"), x=Pieces(), shuffle=True)
    fit(model, Commits(model, "3"), x=Pieces())
    fit(model, Commits(model, "epoch"), x=Pieces(), shuffle=True)
    fit(model, Commits(model, "3"), shuffle=True)


def test_epochs_that_begin_in_the_midst_of_the_data_are_refused():
    model = Alone()
    with pytest.raises(ValueError, match=r"begin at the first row.*take\(100\).*steps_per_epoch=4"):
        fit(model, Commits(model), steps_per_epoch=4)


class Diary(TurnWatcher):
    """Writes down what it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def on_turn_wait(self, waiting):
        self.told.append(("waits", self.model))

    def on_turn_begin(self, turn):
        self.told.append(("turn", self.model))

    def on_train_begin(self, logs=None):
        self.told.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.told.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        assert "loss" in logs

    def on_epoch_end(self, epoch, logs=None):
        self.told.append(-epoch)

    def on_train_end(self, logs=None):
        assert "loss" in logs
        self.told.append("end")


@pytest.mark.parametrize("form", [list, CallbackList])
def test_callbacks_are_told_of_one_training(form):
    diary, model = Diary(), Alone({7})
    given = form([diary])
    fit(model, Commits(model, loses={2}), given, epochs=3)
    assert diary.told[:2] == [("waits", model), ("turn", model)]
    # The second epoch breaks in its midst, and the third at its end.
    told = [each for each in diary.told if not isinstance(each, tuple)]
    assert told == ["begin", 0, 0, 1, 1, -1, 2, -2, 2, -2, "end"]


def test_callbacks_hear_nothing_of_steps_that_were_trained_before():
    steps = []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append((batch, logs["loss"])))
    model = Alone({3})
    fit(model, Commits(model, "1000", commit_every=2), [watch], epochs=1)
    assert [batch for batch, _ in steps] == [0, 1, 2, 2, 3, 4]


def test_the_end_is_told_once_although_the_last_commit_fails():
    diary, model = Diary(), Alone()
    fit(model, Commits(model, "1000", loses={0}, loses_replies={1}), [diary], epochs=1)
    assert [each for each in diary.told if isinstance(each, str)] == ["begin", "end"]


@pytest.mark.parametrize("fails", [set(), {6, 13, 20}], ids=["undisturbed", "faults"])
def test_callbacks_keep_what_they_have_counted(tmp_path, fails):
    def callbacks(name):
        return [
            ReduceLROnPlateau("val_loss", factor=0.5, patience=2, min_delta=10.0),
            EarlyStopping("val_loss", patience=4, min_delta=10.0),
            CSVLogger(tmp_path / name),
        ]

    given = {"epochs": 9, **VALIDATION}
    model = Alone(fails)
    history = fit(model, Commits(model), callbacks("split"), **given)
    whole, expected = undisturbed(callbacks=callbacks("whole"), **given)
    assert_same_weights(whole, model)
    assert len(expected.epoch) == 5
    # What they add to the logs is there as well.
    assert values(history) == values(expected) and "learning_rate" in history.history
    split, plain = (rows_of((tmp_path / name).read_text()) for name in ("split", "whole"))
    assert split == plain


def rows_of(text):
    rows = csv.DictReader(text.splitlines())
    return [{name: value for name, value in row.items() if not name.endswith(ONLY_SPLIT)} for row in rows]


@pytest.mark.parametrize("quota", ["epoch", "1000"])
def test_a_training_that_a_callback_has_stopped_ends_although_the_reply_was_lost(quota):
    stop = LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", True))
    model = Alone()
    commits = Commits(model, quota, loses_replies={0})
    assert fit(model, commits, [stop], epochs=5).epoch == [0]
    assert commits.is_done and [each for each, _ in commits.asked] == [Trained(1, 0)]


def test_a_callback_list_is_left_as_it_was():
    diary, model = Diary(), Alone()
    given = CallbackList([diary], add_history=True, model=model)
    before = list(given.callbacks)
    for _ in range(2):
        commits = Commits(model, "5")
        fit(model, commits, given, epochs=2)
        assert len(commits.asked) == 2
        assert given.callbacks == before
    told = model.with_traffic(given)
    assert given.callbacks == before and isinstance(told, CallbackList)


def test_data_that_can_be_gone_through_once_are_not_begun_again():
    model = Alone({1})
    batches = (each for each in batched().as_numpy_iterator())
    with pytest.raises(ConnectionLost):
        fit(model, Commits(model), x=batches)
