"""A server that accepts bodies trains them exactly, and is open to nothing else."""

from __future__ import annotations

import os
from dataclasses import replace

import keras
import numpy as np
import pytest

import keras_split
from keras_split.errors import ConnectionLost, Refused, TopologyError
from keras_split.segment import Input
from keras_split.session import Exchange, Session
from support import bodies
from support.equality import assert_equal_training
from support.halves import QUICK, train, whole_model
from support.processes import BodyServer
from support.served import ONE_LAYER

# For which a label-free step waits for its client.
GRADIENT_SECONDS = 600


@pytest.fixture(scope="module")
def server(pki, tmp_path_factory):
    options = ["--gradient-seconds", str(GRADIENT_SECONDS)]
    with BodyServer(pki, tmp_path_factory.mktemp("bodies"), *options) as server:
        yield server


@pytest.fixture
def place(server):
    """Splits models whose bodies go to the server; closes them."""
    models = []

    def make(model, cut=bodies.CUT, timeouts=QUICK, **options):
        split = keras_split.SplitModel(model, cut, server=server.place(), timeouts=timeouts, **options)
        models.append(split)
        split.compile_from_config(model.get_compile_config())
        return split

    yield make
    for split in models:
        split.close()


def shareable():
    return whole_model(bodies.shareable)


def name_of(split):
    return split._halves.session()._remote.model


def asking_for(server, name):
    """A session of another client that knows a body's name."""
    session = Session(server.address, server.place().credentials, timeouts=QUICK)
    session._remote.model = name
    return session


def test_a_body_elsewhere_trains_as_the_whole_model(place):
    whole, split = shareable(), place(shareable())
    keras.utils.set_random_seed(bodies.SEED)
    ours = train(whole, epochs=2)
    keras.utils.set_random_seed(bodies.SEED)
    assert_equal_training(whole, split, ours, train(split, epochs=2))


def test_the_owner_gets_the_whole_model_back(place):
    split = place(shareable())
    train(split)
    x, _ = bodies.data()
    assert (split.whole_model().predict(x, verbose=0) == split.predict(x, verbose=0)).all()


def test_steps_that_wait_for_their_clients_keep_no_other_client_waiting(place):
    smashed = Input("smashed", (None, 16), "float32")
    exchange = Exchange("train", (smashed,), wants_cut_gradients=True, graded=(0,), shadow=ONE_LAYER)
    for _ in range(os.cpu_count()):
        session = place(shareable(), second_cut="higher")._halves.session()
        session.forward(session.prepare(exchange), [np.ones((bodies.BATCH, 16), "float32")], None)
    x, _ = bodies.data()
    hasty = place(shareable(), timeouts=replace(QUICK, step_seconds=GRADIENT_SECONDS / 6))
    assert len(hasty.predict(x, verbose=0)) == len(x)


def test_a_body_is_found_by_its_whole_name_alone(server, place):
    split = place(shareable())
    train(split, 1)
    name = name_of(split)
    assert asking_for(server, name).status().steps == 1
    for guess in ("", "shareable", name[:-1]):
        with pytest.raises(Refused, match="has no model"):
            asking_for(server, guess).status()


def test_a_closed_model_leaves_nothing_behind(server, place):
    split = place(shareable())
    train(split, 1)
    name = name_of(split)
    split.get_weights()
    kept = [path for path in server.temporary.rglob("*") if path.name == name.rpartition("-")[2]]
    assert len(kept) == 1 and list(kept[0].glob("*.state"))
    split.close()
    with pytest.raises(Refused, match="has no model"):
        asking_for(server, name).status()
    assert not kept[0].exists()


def test_layers_of_the_clients_own_are_not_built(place):
    with pytest.raises(TopologyError, match="does not build the body.*gate.*GateLayer"):
        train(place(whole_model()))


def test_losses_of_the_clients_own_are_not_built(place):
    split = place(shareable())
    split.compile(loss=keras.losses.MeanSquaredError(), optimizer="sgd")
    # Past this side's own check.
    split._halves._connection.settle({"loss": {"class_name": "function", "config": "system", "module": "os"}})
    with pytest.raises(TopologyError, match="The client's compile setting option `loss`"):
        train(split)


def test_no_folder_of_the_server_is_written_to(place, tmp_path):
    with pytest.raises(Refused, match="Leave `checkpoint_dir` out"):
        train(place(shareable(), checkpoint_dir=str(tmp_path / "chosen")))
    assert not (tmp_path / "chosen").exists()


def test_a_server_that_is_gone_is_told_of_as_what_it_was(pki, tmp_path):
    with BodyServer(pki, tmp_path) as server:
        model = shareable()
        split = keras_split.SplitModel(model, bodies.CUT, server=server.place(), timeouts=QUICK)
        split.compile_from_config(model.get_compile_config())
        train(split, 1)
        server.kill()
        server.wait()
        with pytest.raises(ConnectionLost, match="placed there is gone.*build the SplitModel anew"):
            train(split, 1)
        split.close()
