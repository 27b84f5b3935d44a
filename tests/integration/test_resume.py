"""Both halves are saved and come back together, to the last bit."""

from __future__ import annotations

import keras
import pytest

from keras_split.errors import ConnectionLost
from support import bodies
from support.equality import assert_same_result
from support.halves import assert_equal_halves, batches_of, train, trained_whole, whole_model

TWO_EPOCHS = 2 * bodies.BATCHES
THREE_EPOCHS = 3 * bodies.BATCHES


def by_checkpoint(split, path):
    saving = keras.callbacks.ModelCheckpoint(path)
    train(split, epochs=2, callbacks=[saving])


def by_save(split, path):
    train(split, epochs=2)
    split.save(path)


@pytest.mark.parametrize("save", [by_checkpoint, by_save])
def test_a_saved_model_goes_on_where_it_was(client, shared_server, tmp_path, save):
    save(client, tmp_path / "half.keras")
    expected = client.evaluate(batches_of(), verbose=0)
    # The server moves on, and the one that is loaded takes it back.
    train(client)

    loaded = keras.models.load_model(tmp_path / "half.keras")
    loaded.connect(shared_server.address, shared_server.credentials())
    assert_same_result(expected, loaded.evaluate(batches_of(), verbose=0))
    train(loaded)
    assert_equal_halves(trained_whole(THREE_EPOCHS), loaded, shared_server)
    loaded.close()


def test_saved_weights_go_on_where_they_were(connected, shared_server, tmp_path):
    saving = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    train(connected(), epochs=3, callbacks=[saving])

    other = connected()
    other.load_weights(tmp_path / "2.weights.h5")
    assert_equal_halves(trained_whole(TWO_EPOCHS), other, shared_server)
    train(other)
    assert_equal_halves(trained_whole(THREE_EPOCHS), other, shared_server)


def test_early_stopping_takes_both_halves_back_to_the_best(client, shared_server):
    def stop_and_go_on(model):
        # The loss falls, so that the first epoch is the best of these.
        stopping = keras.callbacks.EarlyStopping("loss", mode="max", patience=2, restore_best_weights=True)
        stopped = train(model, epochs=9, callbacks=[stopping])
        return stopped, model.evaluate(batches_of(), verbose=0), train(model)

    whole = whole_model()
    ours, theirs = stop_and_go_on(whole), stop_and_go_on(client)
    assert len(ours[0].epoch) == 3
    for expected, found in zip(ours, theirs, strict=True):
        assert_same_result(expected, found)
    assert_equal_halves(whole, client, shared_server)


def test_weights_set_by_hand_move_both_halves(client, shared_server):
    def go_there_and_back(model):
        train(model)
        weights = model.get_weights()
        train(model)
        model.set_weights(weights)
        return train(model)

    whole = whole_model()
    assert_same_result(go_there_and_back(whole), go_there_and_back(client))
    assert_equal_halves(whole, client, shared_server)


def test_a_loaded_half_needs_its_server(client, tmp_path):
    client.save(tmp_path / "half.keras")
    loaded = keras.models.load_model(tmp_path / "half.keras")
    with pytest.raises(ConnectionLost, match=r"connect\('host:port'"):
        train(loaded)
