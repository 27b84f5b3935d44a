"""A body on two devices learns what it learns on one, up to the order of additions."""

from __future__ import annotations

import numpy as np
import pytest

from keras_split.errors import Refused
from keras_split.segment import placement
from support import bodies
from support.equality import assert_same_arrays, client_state, states_of_whole
from support.halves import batches_of, connect, kept_state, train, whole_model
from support.processes import Server

# Each replica averages over its half of the batch, and the two averages are averaged: the same sum in
# another order. That costs a few units in the last place of a float32 (1.2e-7) in every step. Fifteen
# steps with momentum carry these on, and ReLU and L1 may take another branch only at exactly zero.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
EPOCHS = 3


@pytest.fixture(scope="module")
def server(pki, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirrored")
    options = ["--seed", str(bodies.SEED), "--strategy", "mirrored", "--replicas", "2"]
    with Server(pki, folder, "support.bodies:shareable", bodies.CUT, *options) as server:
        yield server


@pytest.fixture(scope="module")
def pair(server):
    """The whole model on one device and the split one on two, after the same training."""
    whole = whole_model(bodies.shareable)
    split = connect(server, build=bodies.shareable)
    histories = [train(model, epochs=EPOCHS, validation_data=batches_of()) for model in (whole, split)]
    yield whole, split, histories
    split.close()


def assert_close(expected, found):
    assert sorted(expected) == sorted(found)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, **TOLERANCE, err_msg=name)


def test_two_devices_serve_one_body(server, pair):
    status = server.status()
    assert status.strategy == "mirrored on 2 devices"
    assert status.version == EPOCHS * bodies.BATCHES


def test_both_halves_equal_one_device_within_rounding(server, pair):
    whole, split, _ = pair
    client, body = states_of_whole(whole, bodies.CUT)
    assert_close(client, client_state(split))
    assert any(":momentum" in name for name in body)
    assert_close(body, kept_state(split, server, bodies.shareable))


def test_history_equals_one_device_within_rounding(pair):
    ours, theirs = (history.history for history in pair[2])
    assert_close(ours, {name: theirs[name] for name in ours})


def test_predictions_equal_one_device_within_rounding(pair):
    whole, split, _ = pair
    x = bodies.data()[0]
    for rows in (1, 5, 40):
        found = split.predict(x[:rows], batch_size=40, verbose=0)
        np.testing.assert_allclose(found, whole.predict(x[:rows], verbose=0), **TOLERANCE)


def test_a_snapshot_brings_all_replicas_back(server, pair):
    split = pair[1]
    weights, x = split.get_weights(), bodies.data()[0]
    before = split.predict(x, verbose=0)
    train(split)
    assert not np.array_equal(before, split.predict(x, verbose=0))
    split.set_weights(weights)
    np.testing.assert_array_equal(before, split.predict(x, verbose=0))


def test_a_batch_that_cannot_be_shared_is_refused(pair):
    split = pair[1]
    x, y = bodies.data()
    before = client_state(split)
    with pytest.raises(Refused, match="among 2 devices, and one of 1 is too small. Use larger"):
        split.fit(x[:1], y[:1], verbose=0)
    assert_same_arrays(before, client_state(split), "client")


@pytest.mark.parametrize("strategy", ["parameter_server", "multi_worker", "tpu", ""])
def test_other_strategies_are_refused_with_the_reason(strategy):
    with pytest.raises(ValueError, match=f"one device.*update asynchronously.*'{strategy}'"):
        placement(strategy)
