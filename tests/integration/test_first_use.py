"""Whatever a program does first with a split model, the model meets its server and answers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from support.pairs import paired_models

X = np.linspace(-1, 1, 160, dtype="float32").reshape(40, 4)
Y = X.sum(axis=1, keepdims=True)

FIRST = {
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "evaluate": lambda model: model.evaluate(X, Y, batch_size=40, verbose=0),
    "predict": lambda model: model.predict(X, batch_size=40, verbose=0),
    "call": lambda model: np.asarray(model(X)),
    "fit_eagerly": lambda model: model.fit(X, Y, verbose=0).history["loss"],
}


def build() -> keras.Model:
    layers = [keras.layers.Dense(3, name="low"), keras.layers.Dense(1, name="high")]
    return keras.Sequential([keras.Input((4,)), *layers])


@pytest.mark.parametrize("first", FIRST)
def test_any_use_may_be_the_first(first: str) -> None:
    settings = {"optimizer": "sgd", "loss": "mse", "run_eagerly": first == "fit_eagerly"}
    with paired_models(build, "low") as pair:
        whole, split = pair.compile(lambda: settings).both(FIRST[first])
    np.testing.assert_array_equal(whole, split)
