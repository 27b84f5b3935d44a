"""Callbacks that change, stop or record a training do the same to both halves."""

from __future__ import annotations

import csv
import math
from contextlib import closing

import pytest
import tensorflow as tf
from keras.callbacks import (
    BackupAndRestore,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)
from keras.optimizers import SGD

import keras_split
from support.batches import in_batches
from support.equality import TRAFFIC
from support.models import BATCH, Case, classes, masked, mlp_case, tokens
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
        see = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(dict(logs)))
        CASE.fit(model, callbacks=[see])
        return seen

    twins.assert_alike(fit)


def test_checkpoints_backups_and_progress(twins, tmp_path):
    """When which file is written, and what each callback hears."""
    count = iter(range(9))

    def fit(model):
        folder = tmp_path / str(next(count))
        heard = []
        hear = {
            name: lambda *given, name=name: heard.append((name, *map(str, given[:1])))
            for name in ("on_epoch_begin", "on_epoch_end", "on_train_begin", "on_train_end")
        }
        callbacks = [
            ModelCheckpoint(folder / "best-{epoch}.keras", monitor="val_loss", save_best_only=True),
            ModelCheckpoint(folder / "each-{epoch}-{loss:.3f}.weights.h5", save_weights_only=True),
            ModelCheckpoint(folder / "often-{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=2),
            BackupAndRestore(folder / "backup", save_freq=2, delete_checkpoint=False),
            ProgbarLogger(),
            LambdaCallback(**{name: each for name, each in hear.items() if "epoch" in name}),
        ]
        history = CASE.fit(model, callbacks=callbacks, **VALIDATION)
        return history, sorted(str(each.relative_to(folder)) for each in folder.rglob("*.*")), heard

    _, files, heard = twins.assert_alike(fit)
    assert len(files) > 6
    assert len(heard) == 4


def tags_in(folder):
    """Of all values in TensorBoard's files."""
    for path in folder.rglob("events.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            yield from (value.tag for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value)


def test_tensorboard_shows_the_clients_layers_by_their_names(tmp_path):
    compiled = {"loss": "sparse_categorical_crossentropy"}
    case = Case(masked, "lower", tokens(7, 12), classes(), compiled)
    split = keras_split.SplitModel(case.build(), case.cut)
    split.compile(**case.settings()())
    metadata = {"embed": "words.tsv"}
    options = {"histogram_freq": 1, "write_images": True, "embeddings_freq": 1, "update_freq": 1}
    board = TensorBoard(tmp_path, embeddings_metadata=metadata, **options)
    case.fit(split, callbacks=[board], epochs=1, validation_data=case.batches)
    split.close()
    assert "words.tsv" in (tmp_path / "projector_config.pbtxt").read_text()
    assert (tmp_path / "train" / "keras_embedding.ckpt-0.weights.h5").exists()
    tags = {tag.split("/", 1)[-1] for tag in tags_in(tmp_path)}
    weights = {"embed/embeddings", "lower/kernel", "lower/bias"}
    assert {f"{name}/{kind}" for name in weights for kind in ("histogram", "image")} <= tags
    assert {"epoch_loss", "batch_loss", "epoch_bytes_sent"} <= tags
    with pytest.raises(ValueError, match="Unrecognized `Embedding` layer names"):
        TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"upper": "x"}).set_model(split)
