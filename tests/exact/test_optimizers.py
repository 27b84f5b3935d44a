"""Each side's own optimizer does what one optimizer does to the whole model."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.optimizers import (
    SGD,
    Adam,
    AdamW,
    LossScaleOptimizer,
    Muon,
    Nadam,
    RMSprop,
    ScheduleFreeAdamW,
)
from keras.optimizers.schedules import CosineDecay, ExponentialDecay

from support.equality import assert_equal_training, client_state, server_state
from support.models import mlp, mlp_case
from support.pairs import assert_trains_as_whole, paired_models

CASE = mlp_case()

OPTIMIZERS = {
    "sgd": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.1, momentum=0.9),
    "adam": lambda: Adam(0.01),
    "adamw": lambda: AdamW(0.01, weight_decay=0.1),
    "nadam": lambda: Nadam(0.01),
    # By its path in the whole model.
    "muon_without_a_layer": lambda: Muon(0.02, exclude_layers=[r"sequential(_\d+)?/high/"]),
    "averages_from_the_first_weights_on": lambda: ScheduleFreeAdamW(0.02),
    "centered_rmsprop": lambda: RMSprop(0.01, momentum=0.5, centered=True),
}

SETTINGS = {
    "exponential_decay": lambda: Adam(ExponentialDecay(0.05, 2, 0.7)),
    "cosine_decay_with_warmup": lambda: AdamW(CosineDecay(0.01, 5, warmup_target=0.1, warmup_steps=2)),
    "clipnorm": lambda: SGD(0.5, clipnorm=0.01),
    "clipvalue": lambda: Adam(0.01, amsgrad=True, clipvalue=0.001),
    "weight_decay": lambda: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
    "averages": lambda: Adam(0.05, use_ema=True, ema_momentum=0.7),
    "averages_that_overwrite": lambda: SGD(0.3, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=2),
    # Six steps leave two gradients in the accumulators.
    "accumulation": lambda: Adam(0.05, gradient_accumulation_steps=4),
    "accumulation_with_all": lambda: AdamW(
        ExponentialDecay(0.05, 2, 0.7), gradient_accumulation_steps=2, clipnorm=0.1, use_ema=True
    ),
    # Of six steps, or of three accumulated ones, some are clipped and some are not.
    "global_clipnorm": lambda: SGD(0.5, momentum=0.9, global_clipnorm=1.08),
    "global_clipnorm_with_all": lambda: AdamW(
        0.05, gradient_accumulation_steps=2, loss_scale_factor=1024.0, global_clipnorm=1.1, use_ema=True
    ),
    "loss_scale_factor": lambda: SGD(
        ExponentialDecay(0.1, 2, 0.7, staircase=True), momentum=0.9, loss_scale_factor=1024.0
    ),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_optimizer_on_each_side_equals_one_on_the_whole(make):
    assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(make), CASE.fit)


@pytest.mark.parametrize("make", SETTINGS.values(), ids=SETTINGS.keys())
def test_optimizer_setting_on_each_side_equals_the_same_on_the_whole(make):
    assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(make), CASE.fit, None, "high_drop")


def test_averages_are_in_place_on_both_sides_after_fit():
    settings = CASE.settings(SETTINGS["averages"])
    with paired_models(CASE.build, CASE.cut) as pair:
        pair.compile(settings).both(CASE.fit)
        for state in (client_state(pair.split), server_state(pair.split)):
            averages = {name: each for name, each in state.items() if name.endswith(":average")}
            assert averages
            for name, average in averages.items():
                weight = name.removeprefix("optimizer:").removesuffix(":average")
                np.testing.assert_array_equal(state[weight], average)


@pytest.mark.parametrize(("swap_on_epoch", "second_cut"), [(False, "high_drop"), (True, None)])
def test_averages_are_swapped_in_both_halves(swap_on_epoch, second_cut):
    def optimizer():
        # Skips the first steps, and so begins its averages late.
        inner = Adam(0.05, use_ema=True, ema_momentum=0.7)
        return LossScaleOptimizer(inner, initial_scale=2.0**127.8) if swap_on_epoch else inner

    def train(model):
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch)
        stopping = keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True)
        history = CASE.fit(model, validation_data=CASE.batches, callbacks=[swap, stopping])
        between = keras.callbacks.SwapEMAWeights()
        seen = model.evaluate(CASE.batches, verbose=0, callbacks=[between])
        outputs = model.predict(CASE.batches, verbose=0, callbacks=[between])
        return (
            history,
            seen,
            outputs,
            CASE.fit(model, callbacks=keras.callbacks.CallbackList([swap], model=model)),
        )

    assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(optimizer), train, second_cut)


def test_a_whole_model_that_makes_its_variables_in_the_first_step_is_no_other():
    with paired_models(CASE.build, CASE.cut) as pair:
        for model in (pair.whole, pair.split):
            model.compile(**CASE.settings(OPTIMIZERS["adam"])())
        assert not pair.whole.optimizer.built
        assert_equal_training(pair.whole, pair.split, *pair.both(CASE.fit_and_use))


FOLLOWED = {
    "schedule": SETTINGS["exponential_decay"],
    # Overflows, so that whether an update counts is for the other half to say.
    "scaled": lambda: LossScaleOptimizer(
        SGD(0.3, global_clipnorm=1.0), initial_scale=2.0**127.8, dynamic_growth_steps=2
    ),
}


@pytest.mark.parametrize("make", FOLLOWED.values(), ids=FOLLOWED.keys())
@pytest.mark.parametrize("frozen", ["low", "high"])
def test_a_frozen_half_keeps_counting_updates(frozen, make):
    def build():
        model = mlp()
        cut = model.layers.index(model.get_layer("low_drop")) + 1
        for layer in model.layers[:cut] if frozen == "low" else model.layers[cut:]:
            layer.trainable = False
        return model

    case = mlp_case(build=build)
    assert_trains_as_whole(case.build, case.cut, case.settings(make), case.fit)


def decaying(model):
    """An optimizer that lets biases and some other weights of a model be."""
    optimizer = AdamW(0.05, weight_decay=0.5)
    lasting = [model.get_layer(name).kernel for name in ("low", "classes")]
    optimizer.exclude_from_weight_decay(var_list=lasting, var_names=["bias"])
    return optimizer


@pytest.mark.parametrize("second_cut", [None, "high_drop"])
def test_what_is_excluded_from_weight_decay_is_on_both_sides(second_cut):
    with paired_models(CASE.build, CASE.cut, second_cut) as pair:
        pair.whole.compile(**CASE.settings(lambda: decaying(pair.whole))())
        # Of the model that was given, as whoever splits it has it.
        pair.split.compile(**CASE.settings(lambda: decaying(pair.split._halves.parts.whole))())
        assert_equal_training(pair.whole, pair.split, *pair.both(CASE.fit))


def test_training_goes_on_where_it_stopped():
    def twice(model):
        return CASE.fit(model), CASE.fit(model, initial_epoch=2, epochs=3)

    assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(OPTIMIZERS["adamw"]), twice)


def test_compiling_again_begins_with_a_fresh_optimizer():
    with paired_models(CASE.build, CASE.cut) as pair:
        pair.compile(CASE.settings(OPTIMIZERS["adam"])).both(CASE.fit)
        settings = CASE.settings(OPTIMIZERS["momentum"])
        assert_equal_training(pair.whole, pair.split, *pair.compile(settings).both(CASE.fit))


def test_a_rate_that_the_user_sets_holds_on_both_sides():
    def train(model):
        first = CASE.fit(model, epochs=1)
        model.optimizer.learning_rate = 0.003
        return first, CASE.fit(model, epochs=1)

    assert_trains_as_whole(CASE.build, CASE.cut, CASE.settings(OPTIMIZERS["adam"]), train)


def test_constraints_hold_on_both_sides():
    def build():
        tight = {"kernel_constraint": keras.constraints.MaxNorm(0.5), "bias_constraint": "non_neg"}
        layers = [
            keras.layers.Dense(8, activation="tanh", name="low", **tight),
            keras.layers.Dense(4, activation="softmax", name="classes", **tight),
        ]
        return keras.Sequential([keras.Input((6,)), *layers])

    case = mlp_case("low", build)
    assert_trains_as_whole(case.build, case.cut, case.settings(OPTIMIZERS["sgd"]), case.fit)
