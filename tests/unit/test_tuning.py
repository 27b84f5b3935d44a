"""The search space of split models and its objective, without training and without a server."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

import keras
import keras_tuner
import pytest
from keras import layers
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FatalTypeError, FatalValueError

from keras_split import tuning
from keras_split.partition import Cut, describe_cut, list_cuts
from keras_split.tuning import Objective, SplitHyperModel
from keras_split.tuning.costs import Costs
from keras_split.tuning.options import Options

LOGS = {"val_accuracy": 0.9, "val_loss": 0.5, "client_flops": 2000, "bytes_per_sample": 100}


def plain(hp: Any) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(hp.Choice("units", [6, 8]), name="low"),
            layers.Dense(5, name="middle"),
            layers.Dense(2, name="high"),
        ],
        name="plain",
    )
    model.compile("sgd", "mse")
    return model


def hyperparameters(**values: Any) -> keras_tuner.HyperParameters:
    """A trial's, in which an oracle has chosen some values."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return hp


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search space is explored, also by a chief, without any server."""

    def fail() -> None:
        raise AssertionError("A server was started.")

    monkeypatch.setattr("keras_split.local.LocalServer.__init__", lambda *_: fail())


def test_prices_are_taken_off_what_is_to_be_large() -> None:
    objective = Objective("val_accuracy", flops=1e-5, bytes=1e-3)
    assert objective.name == "score" and objective.direction == "max"
    assert objective.get_value(LOGS) == 0.9 - (1e-5 * 2000 + 1e-3 * 100)
    assert objective.better_than(0.2, 0.1)
    assert str(objective).endswith(": val_accuracy - 1e-05 * client_flops - 0.001 * bytes_per_sample")


def test_prices_are_added_to_what_is_to_be_small() -> None:
    objective = Objective("val_loss", bytes=1e-3)
    assert objective.direction == "min"
    assert objective.get_value(LOGS) == 0.5 + 1e-3 * 100
    assert objective.better_than(0.1, 0.2)


def test_an_objective_has_a_value_where_all_that_it_needs_is_there() -> None:
    free, priced = Objective("val_accuracy"), Objective("val_accuracy", bytes=1.0)
    logs = {"val_accuracy": 0.9}
    assert free.has_value(logs) and free.get_value(logs) == 0.9
    assert not priced.has_value(logs)
    with pytest.raises(FatalValueError, match="needs bytes_per_sample.*no bytes per sample"):
        priced.get_value(logs)


def test_objectives_are_equal_if_their_prices_are() -> None:
    assert Objective("val_accuracy", flops=1.0) == Objective("val_accuracy", "max", flops=1.0)
    assert Objective("val_accuracy", flops=1.0) != Objective("val_accuracy", flops=2.0)


def test_an_unknown_direction_must_be_given() -> None:
    with pytest.raises(ValueError, match='Give `direction="max"`.*Received: direction=None'):
        Objective("my_own_metric")
    assert Objective("my_own_metric", "min").direction == "min"


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_a_price_is_a_number_that_is_not_negative(price: float) -> None:
    with pytest.raises(ValueError, match=f"at least 0 and finite.*flops={price}"):
        Objective("val_loss", flops=price)
    with pytest.raises(ValueError, match=f"at least 0 and finite.*bytes={price}"):
        Objective("val_loss", bytes=price)


def test_all_legal_cuts_are_to_choose_from() -> None:
    hp = keras_tuner.HyperParameters()
    split = SplitHyperModel(plain).build(hp)
    assert [each.values for each in hp.space if each.name == "cut"] == [["low", "middle"]]
    assert split._halves.topology["cut"] == ["low"]


def test_the_oracles_choice_is_the_cut() -> None:
    split = SplitHyperModel(plain).build(hyperparameters(cut="middle", units=8))
    assert split._halves.topology["cut"] == ["middle"]
    assert split.costs == list_cuts(plain(hyperparameters(units=8)))[1]
    assert split.compiled and isinstance(split.optimizer, keras.optimizers.SGD)


def test_a_cut_may_have_several_layers() -> None:
    split = SplitHyperModel(plain, [["low", "middle"]]).build(keras_tuner.HyperParameters())
    assert split._halves.topology["cut"] == ["low", "middle"]


def test_layers_that_have_another_name_in_each_trial_end_the_search() -> None:
    hp = hyperparameters(cut="dense_3")
    with pytest.raises(FatalValueError, match="cannot be cut at 'dense_3'.*'low', 'middle'.*`name=`"):
        SplitHyperModel(plain).build(hp)
    with pytest.raises(FatalValueError, match="cannot be cut at 'high'.*cuts"):
        SplitHyperModel(plain, ["high"]).build(keras_tuner.HyperParameters())
    with pytest.raises(FatalValueError, match=r"Cutting 'plain' at \['low', 'gone'\].*no layer 'gone'"):
        SplitHyperModel(plain, [["low", "gone"]]).build(keras_tuner.HyperParameters())


def test_a_model_without_a_legal_cut_ends_the_search() -> None:
    whole = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    whole.compile("sgd", "mse")
    with pytest.raises(FatalValueError, match="no legal cut by a single name.*put a layer with weights"):
        SplitHyperModel(lambda hp: whole).build(keras_tuner.HyperParameters())


@pytest.mark.parametrize("cuts", ["pool2", [], None])
def test_cuts_are_all_or_a_list(cuts: Any) -> None:
    with pytest.raises(ValueError, match='"all", or a list of names.*Received: cuts='):
        SplitHyperModel(plain, cuts)


def test_what_is_built_must_be_a_compiled_model() -> None:
    with pytest.raises(FatalTypeError, match="compiled keras.Model.*Received: None"):
        SplitHyperModel(lambda hp: None).build(keras_tuner.HyperParameters())
    uncompiled = keras.Sequential([keras.Input((4,)), layers.Dense(2), layers.Dense(2)])
    with pytest.raises(FatalTypeError, match="Received: an uncompiled model"):
        SplitHyperModel(lambda hp: uncompiled).build(keras_tuner.HyperParameters())


def test_alpha_and_decoder_go_together() -> None:
    with pytest.raises(ValueError, match=r"given together.*Received: alpha=\(0.1, 1\), decoder=None"):
        SplitHyperModel(plain, alpha=(0.1, 1))
    with pytest.raises(ValueError, match="given together.*Received: alpha=None"):
        SplitHyperModel(plain, decoder=lambda hp, shapes: None)
    with pytest.raises(ValueError, match="pair"):
        SplitHyperModel(plain, alpha=(1.0, 0.5), decoder=lambda hp, shapes: None)


def test_a_decoder_is_made_for_the_trials_frontier() -> None:
    options = Options(None, (0.1, 2.0), lambda hp, shapes: (hp.get("alpha"), shapes))
    hp = hyperparameters(alpha=0.7)
    cut = describe_cut(plain(keras_tuner.HyperParameters()), "middle")
    assert options.for_model(hp, cut, None) == {"decoder": (0.7, ((None, 5),))}
    [alpha] = [each for each in hp.space if each.name == "alpha"]
    assert (alpha.min_value, alpha.max_value) == (0.1, 2.0)


def test_a_second_cut_is_one_name_or_a_choice() -> None:
    hp = hyperparameters(second_cut="high")
    cut = describe_cut(plain(keras_tuner.HyperParameters()), "low")
    assert Options(None, None, None).for_model(hp, cut, None) == {}
    assert Options("middle", None, None).choose_second_cut(hp) == "middle"
    chosen = Options(["middle", "high"], None, None).choose_second_cut(hp)
    assert Options(["middle", "high"], None, None).for_model(hp, cut, chosen) == {"second_cut": "high"}


@pytest.mark.parametrize("second_cut", [[], "", [["middle", "high"]]])
def test_second_cuts_to_choose_from_are_names(second_cut: Any) -> None:
    with pytest.raises(ValueError, match="list of names to choose from. Received: second_cut="):
        SplitHyperModel(plain, second_cut=second_cut)


def test_a_second_cut_adds_what_the_client_does_behind_it() -> None:
    model = plain(keras_tuner.HyperParameters())
    one, two = describe_cut(model, "low"), describe_cut(model, "low", "middle")
    assert one == list_cuts(model)[0]
    assert two.client_parameters == one.client_parameters + 5 * 2 + 2
    assert two.client_flops > one.client_flops
    assert two.bytes_per_sample == (6 + 5) * 4
    assert two.parameter_share == two.client_parameters / model.count_params()


def test_costs_stand_in_the_logs_of_each_epoch() -> None:
    cut = Cut("low", ((None, 6),), 24, 30, 54, 0.5, 0.5)
    logs: dict[str, Any] = {}
    Costs(cut).on_epoch_end(0, logs)
    assert logs == {"client_flops": 54, "bytes_per_sample": 24}


def test_costs_that_are_not_known_are_left_out() -> None:
    logs: dict[str, Any] = {}
    Costs(Cut("low", ((None, None, 6),), None, 30, 54, 0.5, 0.5)).on_epoch_end(0, logs)
    assert logs == {"client_flops": 54}


def test_a_summary_shows_costs_where_there_are_any(capsys: pytest.CaptureFixture[str]) -> None:
    trial = Trial(hyperparameters(cut="low"), "3")
    trial.summary()
    without = capsys.readouterr().out
    trial.metrics.update("client_flops", 868160)
    trial.metrics.update("bytes_per_sample", 800)
    trial.summary()
    shown = "Client FLOPs per sample: 868,160\nBytes up per sample: 800\n"
    assert capsys.readouterr().out == without + shown


def test_without_keras_tuner_the_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "keras_split.tuning")
    with pytest.raises(ImportError, match=r"needs keras_tuner and tensorboard.*pip install .*\[tuning\]"):
        importlib.import_module("keras_split.tuning")
    monkeypatch.undo()
    sys.modules["keras_split.tuning"] = tuning
