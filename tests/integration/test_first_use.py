"""Whatever a program does first with a split model, the model meets its server and answers."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import keras_split
from support.equality import assert_same_arrays, client_state, server_state
from support.models import mlp_case
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


@pytest.mark.parametrize("second_cut", [None, "low_drop"], ids=["labels shared", "label-free"])
def test_a_step_is_traced_once_though_it_is_the_first(second_cut: str | None) -> None:
    """Tracing is what the first step waits for; also with metrics that depend on the labels' shape."""
    case = mlp_case()
    split = keras_split.SplitModel(case.build(), "low", second_cut)
    traced = []
    train_step, test_step = split.train_step, split.test_step
    split.train_step = lambda data: traced.append("train") or train_step(data)
    split.test_step = lambda data: traced.append("test") or test_step(data)
    split.compile(**case.settings()())
    split.evaluate(case.x, case.y, verbose=0)
    case.fit(split)
    split.close()
    assert traced == ["test", "train"]


def test_weights_loaded_after_compile_bring_the_optimizer_along(tmp_path: Path) -> None:
    split = keras_split.SplitModel(build(), "low")
    settings = {"optimizer": "adam", "loss": "mse"}
    split.compile(**settings)
    split.fit(X, Y, verbose=0)
    split.save_weights(tmp_path / "half.weights.h5")
    before = client_state(split) | server_state(split)
    split.compile(**settings)
    split.load_weights(tmp_path / "half.weights.h5")
    assert_same_arrays(before, client_state(split) | server_state(split), "loaded")
    split.close()
