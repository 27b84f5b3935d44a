"""Compile settings of a server are validated before Keras reads them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from keras_split.errors import TopologyError
from keras_split.topology.settings import validate_settings


def _object(module: str, kind: str, /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


HONEST = {
    "optimizer": _object(
        "keras.optimizers",
        "AdamW",
        name="adamw",
        learning_rate=_object("keras.optimizers.schedules", "ExponentialDecay", decay_rate=0.9),
        clipnorm=None,
        amsgrad=False,
    ),
    "loss": {"a": "mse", "b": _object("keras.losses", "Huber", delta=1.0)},
    "loss_weights": {"a": 1.0, "b": 0.5},
    "metrics": {"a": ["mae"], "b": _object("keras.metrics", "AUC", thresholds=[0.1, 0.9])},
    "weighted_metrics": None,
}

HOSTILE = {
    "a function of the server": ("loss", {"class_name": "function", "module": "os", "config": "system"}),
    "a lambda": ("loss", {"class_name": "__lambda__", "module": "builtins", "config": {"value": "x"}}),
    "a registered class": ("optimizer", {**HONEST["optimizer"], "registered_name": "evil>Adam"}),
    "another module": ("optimizer", {**HONEST["optimizer"], "module": "os.path"}),
    "an unknown optimizer": ("optimizer", _object("keras.optimizers", "MultiOptimizer")),
    "a scaled optimizer of the server's": (
        "optimizer",
        _object("keras.optimizers", "LossScaleOptimizer", inner_optimizer=_object("os", "SGD")),
    ),
    "a scaled optimizer that is scaled": (
        "optimizer",
        _object(
            "keras.optimizers",
            "LossScaleOptimizer",
            inner_optimizer=_object("keras.optimizers", "LossScaleOptimizer"),
        ),
    ),
    "a nested object": (
        "optimizer",
        _object("keras.optimizers", "SGD", momentum=_object("keras.layers", "Lambda")),
    ),
    "not a number": ("loss_weights", [float("nan")]),
    "infinity": ("optimizer", _object("keras.optimizers", "SGD", learning_rate=float("inf"))),
    "deep nesting": ("metrics", [[[["mae"]]]]),
    "many outputs": ("metrics", ["mae"] * 1000),
    "many options": ("optimizer", _object("keras.optimizers", "SGD", **{f"o{i}": 1 for i in range(99)})),
    "a name with a path": ("loss", "../../etc/passwd"),
    "no dict": ("optimizer", 7),
}


def test_honest_settings_pass_unchanged() -> None:
    scaled = _object(
        "keras.optimizers", "LossScaleOptimizer", inner_optimizer=HONEST["optimizer"], initial_scale=2.0
    )
    for honest in (HONEST, {**HONEST, "optimizer": scaled}):
        assert validate_settings(copy.deepcopy(honest)) == honest


@pytest.mark.parametrize("attack", HOSTILE, ids=str)
def test_hostile_settings_are_refused(attack: str) -> None:
    name, value = HOSTILE[attack]
    with pytest.raises(TopologyError, match=name):
        validate_settings({**HONEST, name: value})


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(TopologyError, match="no others"):
        validate_settings({**HONEST, "run_eagerly": True})
