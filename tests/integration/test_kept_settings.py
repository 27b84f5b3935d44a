"""Compile settings of a server that keeps its own hold, whatever a client asks for."""

from __future__ import annotations

import copy
import dataclasses

import keras
import pytest

from keras_split.errors import SettingsRefused
from keras_split.session import Session
from support.halves import train


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("optimizer", {"optimizer": "sgd"}),
        ("optimizer", {"optimizer": keras.optimizers.Adam(0.5)}),
        ("loss", {"loss": "mse"}),
        ("loss_weights", {"loss_weights": [2.0]}),
    ],
    ids=["another optimizer", "another rate", "another loss", "other weights"],
)
def test_settings_that_differ_are_refused_by_their_name(connected, name, asked):
    split = connected()
    with pytest.raises(SettingsRefused, match=f"keeps its own compile settings, and `{name}` differs"):
        split.compile(**asked)
    with pytest.raises(ValueError, match="call `compile\\(\\)`"):
        train(split, 1)
    split.compile()
    train(split, 1)


def test_settings_that_are_left_out_or_the_same_are_taken(connected):
    split = connected()
    split.compile(metrics=["accuracy"])
    # Keras has given the same name to another optimizer of this process already.
    split.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    assert split.optimizer.name != "adam"
    train(split, 1)


def test_a_half_does_not_move_to_a_server_with_other_settings(connected, shared_server, monkeypatch):
    split, join = connected(), Session.join

    def faster(session, settings=None):
        joined = join(session, settings)
        theirs = copy.deepcopy(joined.settings)
        theirs["optimizer"]["config"]["learning_rate"] = 0.5
        return dataclasses.replace(joined, settings=theirs)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "join", faster)
        with pytest.raises(SettingsRefused, match="`optimizer` differs"):
            split.connect(shared_server.address, shared_server.credentials())
    train(split, 1)  # With the server that it has.
