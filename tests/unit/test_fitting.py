"""However often `fit` goes on after a fault, it is one training, and ends as an undisturbed one."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_split.errors import ConnectionLost
from keras_split.model import fitting
from support.in_attempts import Alone, Commits, batched, fit

ONLY_SPLIT = ("bytes_sent", "bytes_received")
VALIDATION = {"validation_data": batched(4)}


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(fitting, "_FIRST_PAUSE_SECONDS", 0.0)


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


def test_data_that_can_be_gone_through_once_are_not_begun_again():
    model = Alone({1})
    batches = (each for each in batched().as_numpy_iterator())
    with pytest.raises(ConnectionLost):
        fit(model, Commits(model), x=batches)
