"""Anybody may predict and evaluate at any time, and the server's half is what it was."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from keras_split.segment import Input
from keras_split.session import Exchange
from support import bodies
from support.equality import assert_same_arrays
from support.gate import until
from support.halves import (
    AtBatch,
    assert_equal_halves,
    batches_of,
    kept_state,
    train,
    trained_whole,
    whole_model,
)

TRIES = 10
CLIENTS = 4
ROWS = 4

# Whose half is older than the server's is told so once.
pytestmark = pytest.mark.filterwarnings("ignore:The server's half has seen")


def predict(model):
    return model.predict(batches_of(), verbose=0)


def test_inference_changes_nothing_on_the_server(client, shared_server):
    train(client, 1)
    before = kept_state(client, shared_server)
    predict(client)
    client.evaluate(batches_of(), verbose=0)
    client(bodies.data()[0])
    assert_same_arrays(before, kept_state(client, shared_server), "server")
    assert_equal_halves(trained_whole(1), client, shared_server)


def test_a_lone_request_is_answered_as_the_whole_model_would(client):
    np.testing.assert_array_equal(predict(whole_model()), predict(client))
    assert whole_model().evaluate(batches_of(), verbose=0) == client.evaluate(batches_of(), verbose=0)


def test_others_predict_and_evaluate_while_one_trains(connected, shared_server, observer):
    others = [connected(at_start=False) for _ in range(CLIENTS)]
    trainer = connected()
    done = threading.Event()

    def keep_asking(model):
        answers = 0
        while not done.is_set() or not answers:
            assert np.isfinite(predict(model)).all()
            assert np.isfinite(model.evaluate(batches_of(), verbose=0)).all()
            answers += 1
        return answers

    def one_answer_each():
        before = observer.status().inferences
        until(lambda: observer.status().inferences >= before + CLIENTS)

    with ThreadPoolExecutor(CLIENTS) as threads:
        asking = [threads.submit(keep_asking, model) for model in others]
        try:
            # In the midst of the turn, not before or after it.
            train(trainer, epochs=4, callbacks=[AtBatch(7, one_answer_each)])
        finally:
            done.set()
        assert all(each.result(100) for each in asking)
    assert_equal_halves(trained_whole(20), trainer, shared_server)


def test_an_inference_between_two_updates_sees_one_of_them_whole(connected, shared_server):
    trainer, other = connected(), connected(at_start=False)
    whole = whole_model()
    expected, found = [], []

    def ask_the_whole(batch, logs=None):
        expected.append(predict(whole))

    def ask_another(batch, logs=None):
        other.head.set_weights(trainer.head.get_weights())
        found.append(predict(other))

    for model, ask in ((whole, ask_the_whole), (trainer, ask_another)):
        train(model, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=ask)])
    assert len(found) == bodies.BATCHES
    np.testing.assert_array_equal(expected, found)


def test_small_requests_that_wait_together_are_computed_together(connected, shared_server, observer):
    ask = [asking(connected(at_start=False)) for _ in range(CLIENTS)]
    alone = [each() for each in ask]
    # That a request has arrived does not say that it waits already: on a busy machine its thread may
    # still be on its way when the gate opens. Such a try shows nothing.
    for _ in range(TRIES):
        calls, together = ask_at_once(shared_server.gate, observer.status, ask)
        if len(calls) == 2:
            break
    # The first was being computed when the others came, and these went into one computation.
    assert calls == [ROWS, ROWS * (CLIENTS - 1)]
    for expected, found in zip(alone, together, strict=True):
        # A matrix product of more rows may add up in another order.
        np.testing.assert_allclose(expected, found, rtol=1e-6)


def ask_at_once(gate, status, ask):
    """Rows of the server's computations, and the replies, if all come while the first is computed."""
    received = status().bytes_received
    ask[0]()
    size = status().bytes_received - received
    number = gate.close()
    with ThreadPoolExecutor(CLIENTS) as threads:
        first = threads.submit(ask[0])
        gate.until_reached(number)
        received = status().bytes_received
        rest = [threads.submit(each) for each in ask[1:]]
        until(lambda: status().bytes_received >= received + size * len(rest))
        gate.open()
        replies = [each.result(100) for each in (first, *rest)]
    return gate.calls()[number - 1 :], replies


def asking(split):
    """A request of a few rows, without the model, whose calls would share TensorFlow's threads."""
    session = split._halves.session()
    prepared = session.prepare(Exchange("predict", (Input("smashed", (None, 16), "float32"),)))
    smashed = np.asarray(split.head(bodies.data()[0][:ROWS]))
    return lambda: session.infer(prepared, [smashed], True)[0]


def test_threads_share_one_model(client):
    expected = predict(client)
    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(lambda _: predict(client), range(2 * CLIENTS)))
    for each in answers:
        np.testing.assert_array_equal(expected, each)


def test_a_half_that_is_older_than_the_servers_is_told_so(connected):
    other, trainer = connected(), connected()
    train(trainer)
    with pytest.warns(UserWarning, match="seen 5 updates and this one 0.*load the matching half"):
        predict(other)
