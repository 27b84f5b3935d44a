"""What a user changes after `SplitModel(...)` does on both sides what it does in the whole model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import keras_split
from support.equality import assert_equal_training
from support.models import mlp_case
from support.pairs import assert_trains_as_whole, paired_models

CASE = mlp_case()
SETTINGS = CASE.settings(lambda: keras.optimizers.Adam(0.01))


def given(model: Any) -> keras.Model:
    """Whose layers the user has at hand."""
    return model._halves.parts.whole if isinstance(model, keras_split.SplitModel) else model


def fill(layer: keras.layers.Layer, value: float) -> None:
    layer.set_weights([np.full_like(each, value) for each in layer.get_weights()])


def test_unfreezing_options_values_and_counters_reach_both_sides():
    def train(model):
        # The recipe of Keras' guide to transfer learning.
        low, high, drop = (given(model).get_layer(each) for each in ("low", "high", "high_drop"))
        low.trainable = high.trainable = False
        model.compile(**SETTINGS())
        results = [CASE.fit(model, epochs=1)]
        low.trainable = high.trainable = True
        # A variable by itself, and options on both sides.
        high.bias.trainable = low.bias.trainable = False
        drop.rate, given(model).get_layer("low_drop").rate = 0.6, 0.1
        model.compile(**SETTINGS())
        results.append(CASE.fit_and_use(model))
        fill(high, 0.03)
        model.optimizer.iterations.assign(100)
        results.append(CASE.fit_and_use(model))
        fill(high, 0.02)
        results.append(model.predict(CASE.batches, verbose=0))
        return results

    assert_trains_as_whole(CASE.build, CASE.cut, SETTINGS, train, None, "high_drop")


def test_what_changes_between_compile_and_the_first_step_takes_effect_with_it():
    def train(model):
        model.compile(**SETTINGS())
        layer = given(model).get_layer("high")
        first = model.evaluate(CASE.batches, verbose=0)
        layer.trainable = False
        model.optimizer.weight_decay = 0.1
        model.optimizer.exclude_from_weight_decay(var_names=["bias"])
        given(model).get_layer("high_drop").rate = 0.5
        return first, CASE.fit_and_use(model)

    with paired_models(CASE.build, CASE.cut) as pair:
        assert_equal_training(pair.whole, pair.split, *pair.both(train))


def test_a_flag_that_changes_without_compile_takes_effect_in_graphs_that_are_made_later():
    def train(model):
        layer = given(model).get_layer("high")
        first = model.fit(CASE.x[:16], CASE.y[:16], batch_size=8, shuffle=False, verbose=0)
        layer.trainable = False
        same = model.fit(CASE.x[:16], CASE.y[:16], batch_size=8, shuffle=False, verbose=0)
        other = model.fit(CASE.x[:12], CASE.y[:12], batch_size=12, shuffle=False, verbose=0)
        layer.trainable = True
        return first, same, other

    assert_trains_as_whole(CASE.build, CASE.cut, SETTINGS, train)


def test_freezing_all_and_compiling_without_a_loss_are_as_in_keras():
    def train(model):
        first = CASE.fit(model)
        model.trainable = False
        model.compile(**SETTINGS())
        frozen = model.evaluate(CASE.batches, verbose=0)
        model.trainable = True
        model.compile(keras.optimizers.SGD(0.1))
        return first, frozen, CASE.fit(model)

    assert_trains_as_whole(CASE.build, CASE.cut, SETTINGS, train)


def test_weights_that_were_saved_are_not_overwritten_by_values_that_were_set_before():
    def train(model):
        first, kept = CASE.fit(model), model.get_weights()
        fill(given(model).get_layer("high"), 0.03)
        model.set_weights(kept)
        # Both are the inner optimizer's.
        model.optimizer.learning_rate = 0.02
        model.optimizer.iterations.assign(100)
        return first, CASE.fit(model)

    scaled = CASE.settings(lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)))
    assert_trains_as_whole(CASE.build, CASE.cut, scaled, train)


def test_what_keras_would_do_by_halves_is_refused():
    split = keras_split.SplitModel(CASE.build(), CASE.cut)
    split.compile(**SETTINGS())
    split.fit(CASE.x[:16], CASE.y[:16], batch_size=8, verbose=0)
    given(split).get_layer("high_drop").rate = 0.5
    with pytest.raises(ValueError, match="have changed since `compile`"):
        split.fit(CASE.x[:12], CASE.y[:12], batch_size=12, verbose=0)
    given(split).trainable = False
    given(split).get_layer("low").trainable = True
    split.compile(**SETTINGS())
    with pytest.raises(ValueError, match="Nothing of this model is trained"):
        CASE.fit(split)
    given(split).get_layer("high").note = "no option"
    with pytest.raises(ValueError, match="`note` of layer 'high' has changed.*not in its config"):
        split.predict(CASE.x, verbose=0)
    given(split).get_layer("high").enable_lora(2)
    with pytest.raises(ValueError, match="have other variables than when they were placed"):
        split.predict(CASE.x, verbose=0)
    given(split).add(keras.layers.Dense(4))
    with pytest.raises(ValueError, match="Layers were added to the model, or taken from it"):
        split.predict(CASE.x, verbose=0)
    split.close()
