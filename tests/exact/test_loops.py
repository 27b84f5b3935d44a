"""Training, testing and predicting one batch at a time, as loops of a user's own do."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from support.models import Case, classes, convolutional, floats, mlp_case
from support.pairs import Twins, assert_trains_as_whole

CASE = mlp_case()
X, Y = CASE.x, CASE.y


@pytest.fixture(scope="module")
def twins():
    # Labels shared, and label-free.
    with closing(Twins(CASE, None, "high")) as made:
        yield made


def steps(*sizes: int):
    starts = np.cumsum([0, *sizes])
    return [slice(start, start + size) for start, size in zip(starts, sizes, strict=False)]


def test_train_on_batch_with_batches_of_any_size(twins):
    def train(model):
        return [model.train_on_batch(X[rows], Y[rows]) for rows in steps(8, 8, 3, 1)]

    twins.assert_alike(train)


def test_train_on_batch_with_weights():
    def train(model):
        weights = np.linspace(0, 2, 8, dtype="float32")
        first = model.train_on_batch(X[:8], Y[:8], sample_weight=weights, return_dict=True)
        model.reset_metrics()
        weights = {0: 0.5, 1: 2.0, 2: 0.0, 3: 1.0}
        return first, model.train_on_batch(X[8:16], Y[8:16], class_weight=weights, return_dict=True)

    case = mlp_case(weighted_metrics=["accuracy"])
    assert_trains_as_whole(case.build, case.cut, case.settings(), train)


def test_train_test_and_predict_on_batch_in_turns():
    case = Case(convolutional, "pool1", floats(6, 6, 2), classes(), CASE.compiled)

    def train(model):
        found = []
        for rows in steps(8, 8):
            found.append(model.train_on_batch(case.x[rows], case.y[rows]))
            found.append(model.test_on_batch(case.x[rows], case.y[rows], return_dict=True))
            found.append(model.predict_on_batch(case.x[rows]))
            model.reset_metrics()
        return found

    assert_trains_as_whole(case.build, case.cut, case.settings(), train, None, "flatten")


def test_fit_among_other_calls(twins):
    def train(model):
        model.train_on_batch(X[:8], Y[:8])
        return CASE.fit(model), model.evaluate(X, Y, verbose=0), CASE.fit(model, epochs=1)

    twins.assert_alike(train)


def test_evaluate_and_predict_leave_everything_as_it_was(twins):
    def train(model):
        first = CASE.fit(model, epochs=1)
        model.evaluate(X, Y, verbose=0)
        model.predict(X, verbose=0)
        return first

    twins.assert_alike(train)
