"""`verify` with several data owners says that all is equal only where it is."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import keras_split
from keras_split.model.client_state import ClientState
from keras_split.verification.shards import shards_of
from support import bodies

X, Y = bodies.data()


def verify(**options):
    return keras_split.verify(bodies.small, bodies.CUT, X, Y, batch_size=bodies.BATCH, **options)


def test_several_owners_train_what_one_machine_trains():
    report = verify(clients=3, epochs=2, validation_split=0.2)
    assert report.equal, report
    assert (report.clients, report.turns, report.steps) == (3, 6, 2 * (1 + 2 + 2))
    whole = bodies.small()
    whole.optimizer.build(whole.trainable_variables)
    # Each side has the optimizer's count of updates and its rate.
    assert report.variables == len(whole.variables) + len(whole.optimizer.variables) + 2


def test_labels_may_stay_with_the_owners_who_hand_over_to_each_other():
    report = verify(clients=2, second_cut="high_drop", handover="peer", shuffle=False)
    assert report.equal, report


def test_it_says_what_differs_first(monkeypatch):
    write = ClientState.write

    def forget_statistics(self, state):
        kept = {name: each for name, each in self.read().items() if "moving_mean" in name}
        write(self, {**state, **kept})

    monkeypatch.setattr(ClientState, "write", forget_statistics)
    report = verify(clients=2)
    assert not report.equal
    # The first owner has two batches, and what the second takes over lacks something.
    assert report.difference == keras_split.verification.Difference("low_norm/2:moving_mean", "client", 2)
    assert "'low_norm/2:moving_mean' on the client, after update 2" in str(report)


def unnamed() -> keras.Model:
    """Two outputs and an operation; Keras counts on whenever it is built."""
    inputs = keras.Input(X.shape[1:])
    hidden = keras.layers.Dense(6)(inputs)
    hidden = keras.layers.Dropout(0.3)(keras.ops.add(hidden, keras.layers.Dense(6, "relu")(hidden)))
    outputs = [keras.layers.Dense(1)(hidden), keras.layers.Dense(1)(hidden)]
    model = keras.Model(inputs, outputs)
    model.compile("adam", ["mse", "mae"], metrics=[["mae"], ["mse"]])
    return model


@pytest.mark.parametrize("clients", [1, 2])
def test_models_that_are_built_twice_are_compared_by_place(clients):
    rows = [np.ones((len(X), 1)), np.zeros((len(X), 1))]
    cut = f"dense_{keras.backend.get_uid('dense')}"  # In the first model that is built from now on.
    report = keras_split.verify(unnamed, cut, X, rows, batch_size=20, clients=clients, validation_split=0.25)
    assert report.equal, report


@pytest.mark.parametrize("clients", [1, 2, 3, 10])
def test_every_row_goes_to_one_owner(clients):
    shards = shards_of({"x": {"a": X, "b": [X, X]}, "y": Y, "sample_weight": None}, clients)
    sizes = [len(each["y"]) for each in shards]
    assert (len(shards), sum(sizes), min(sizes) > 0) == (clients, len(Y), True)
    assert [each for shard in shards for each in shard["y"]] == list(Y)
    assert all(len(each) == len(shard["y"]) for shard in shards for each in keras.tree.flatten(shard["x"]))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"clients": 0}, "`clients` is a whole number above 0"),
        ({"clients": 30}, "need two rows each. Received: 40 rows"),
        ({"clients": 2, "handover": "store://localhost:1"}, "no store that runs already"),
        ({"clients": 2, "sample_weight": [1.0] * 40}, "NumPy arrays, tensors or data frames"),
    ],
)
def test_what_cannot_be_tried_is_refused_at_once(options, text):
    with pytest.raises(ValueError, match=text):
        verify(**options)
