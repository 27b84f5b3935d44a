"""Callbacks that change, stop or record a training do the same to both halves."""

from __future__ import annotations

import csv
import math
from contextlib import closing

import keras
import pytest
from keras.callbacks import CSVLogger, EarlyStopping, LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN
from keras.optimizers import SGD

from support.batches import in_batches
from support.equality import TRAFFIC
from support.models import BATCH, mlp_case
from support.pairs import Twins, assert_trains_as_whole

CASE = mlp_case()
# Labels shared, and label-free.
MODES = (None, "high_drop")
RATE = 0.001
VALIDATION = {"validation_data": in_batches(BATCH, CASE.x[:9], CASE.y[:9])}


@pytest.fixture(scope="module")
def twins():
    with closing(Twins(CASE, *MODES)) as made:
        yield made


def test_learning_rate_scheduler(twins):
    def fit(model):
        model.optimizer.learning_rate = RATE
        schedule = LearningRateScheduler(lambda epoch, rate: rate * 0.3)
        return CASE.fit(model, epochs=3, callbacks=[schedule])

    history = twins.assert_alike(fit)
    assert history.history["learning_rate"][2] < history.history["learning_rate"][0]


def test_reduce_learning_rate_on_plateau(twins):
    def fit(model):
        model.optimizer.learning_rate = RATE
        reduce = ReduceLROnPlateau("val_loss", factor=0.1, patience=1, min_delta=10.0, min_lr=3e-4)
        return CASE.fit(model, epochs=4, callbacks=[reduce], **VALIDATION)

    history = twins.assert_alike(fit)
    assert history.history["learning_rate"][3] < history.history["learning_rate"][0]


def test_early_stopping(twins):
    def fit(model):
        stop = EarlyStopping("val_loss", patience=1, min_delta=10.0)
        return CASE.fit(model, epochs=6, callbacks=[stop], **VALIDATION)

    history = twins.assert_alike(fit)
    assert len(history.epoch) < 6


def test_early_stopping_restores_what_averages_have_replaced():
    def fit(model):
        stop = EarlyStopping("val_loss", patience=1, min_delta=10.0, restore_best_weights=True)
        return CASE.fit(model, epochs=4, callbacks=[stop], **VALIDATION)

    make = lambda: SGD(0.3, use_ema=True, ema_momentum=0.5)  # noqa: E731
    assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(make), fit, *MODES)


def test_training_goes_on_from_restored_weights(twins):
    def fit(model):
        stop = EarlyStopping("val_loss", patience=1, min_delta=10.0, restore_best_weights=True)
        first = CASE.fit(model, epochs=4, callbacks=[stop], **VALIDATION)
        return first, CASE.fit(model)

    first, _ = twins.assert_alike(fit)
    assert len(first.epoch) < 4


def test_terminate_on_nan():
    def fit(model):
        return CASE.fit(model, epochs=3, callbacks=[TerminateOnNaN()])

    history = assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(lambda: SGD(1e38)), fit, *MODES)
    assert len(history.epoch) < 3 or math.isnan(history.history["loss"][-1])


def test_csv_logger(twins, tmp_path):
    def fit(model):
        path = tmp_path / f"{type(model).__name__}.csv"
        CASE.fit(model, callbacks=[CSVLogger(str(path))], **VALIDATION)
        with open(path) as lines:
            return [
                {k: float(v) for k, v in row.items() if k not in TRAFFIC} for row in csv.DictReader(lines)
            ]

    rows = twins.assert_alike(fit)
    assert list(rows[0]) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]


def test_logs_of_each_batch(twins):
    def fit(model):
        seen = []
        see = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(dict(logs)))
        CASE.fit(model, callbacks=[see])
        return seen

    twins.assert_alike(fit)
