"""A plan counts what a step computes and sends, and turns it into time by division."""

from __future__ import annotations

import json
import logging
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_split
from keras_split.planning import Conditions, PlannedCut, measure_gflops
from keras_split.planning.planned import planned
from keras_split.planning.step import Message, Work
from support import models

LINE = {"bandwidth_mbps": 100, "rtt_ms": 20, "client_gflops": 10, "server_gflops": 1000}
CONDITIONS = Conditions(**LINE, batch_size=8)


def plan(model, **options):
    return keras_split.plan(model, **{**LINE, "batch_size": 8, **options})


def compiled(model, loss="sparse_categorical_crossentropy"):
    model.compile("sgd", loss)
    return model


def small(loss="mse", head_trains=True):
    """One product on each side: 2 * 4 * 3 operations and 3 biases, 2 * 3 * 2 and 2."""
    low = layers.Dense(3, name="low", trainable=head_trains)
    return compiled(keras.Sequential([keras.Input((4,)), low, layers.Dense(2, name="high")]), loss)


def profiled(model):
    """Operations of a forward pass for one sample, the whole model in one graph."""
    specs = [tf.TensorSpec((1, *each.shape[1:]), each.dtype) for each in model.inputs]
    function = tf.function(
        lambda *x: model(x[0] if len(x) == 1 else list(x), training=False), autograph=False
    )
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    graph = function.get_concrete_function(*specs).graph
    level = tf.get_logger().level
    tf.get_logger().setLevel(logging.ERROR)  # It calls a deprecated function of its own.
    try:
        profile = tf.compat.v1.profiler.profile(graph, cmd="scope", options={**options, "output": "none"})
    finally:
        tf.get_logger().setLevel(level)
    return profile.total_float_ops


def forward_operations(cut, batch_size=8):
    """Of both sides for one sample, where both are trained: forward, and twice that backward."""
    return cut.client_flops / 3 / batch_size, cut.server_flops / 3 / batch_size


@pytest.mark.parametrize(
    "build",
    [keras_split.zoo.lenet, keras_split.zoo.vgg, models.convolutional, models.residual, models.mlp],
    ids=lambda build: build.__name__,
)
def test_operations_are_the_profilers(build):
    model = compiled(build())
    whole = profiled(model)
    cuts = plan(model).cuts
    assert len(cuts) > 2
    for cut in cuts:
        head, body = forward_operations(cut)
        assert head + body == whole, cut.name
        parts = keras_split.partition.partition(model, cut.cut)
        assert head == profiled(parts.head.model), cut.name


def test_the_tail_is_the_clients_and_its_operations_are_the_profilers():
    model = compiled(keras_split.zoo.lenet())
    whole = profiled(model)
    cuts = plan(model, second_cut="flatten").cuts
    assert {each.name for each in cuts} == {"conv1", "pool1", "conv2", "pool2"}
    for cut in cuts:
        parts = keras_split.partition.partition(model, cut.cut, "flatten")
        client = profiled(parts.head.model) + profiled(parts.tail.model)
        assert cut.client_flops == 3 * 8 * client, cut.name
        assert cut.server_flops == 3 * 8 * (whole - client), cut.name


def test_a_step_without_labels_takes_two_round_trips_and_the_time_of_a_tail():
    ends = [layers.Dense(3, name="low"), layers.Dense(2, name="high"), layers.Dense(5, name="end")]
    [cut] = plan(compiled(keras.Sequential([keras.Input((4,)), *ends]), "mse"), second_cut="high").cuts
    assert cut.up == {"smashed": 8 * 3 * 4, "gradient": 8 * 2 * 4}
    assert cut.down == {"output": 8 * 2 * 4, "cut_gradient": 8 * 3 * 4}
    expected = {
        "client forward": 8 * 27 / 10e9,
        "upload": 8 * 160 / 100e6,
        "server": 3 * 8 * 14 / 1000e9,
        "download": 8 * 160 / 100e6,
        "client tail": 3 * 8 * 25 / 10e9,
        "client backward": 2 * 8 * 27 / 10e9,
        "round trip": 2 * 0.02,
    }
    assert cut.parts == pytest.approx(expected)


def test_a_second_cut_is_told_with_the_plan(tmp_path):
    found = plan(compiled(models.mlp()), second_cut="high")
    assert found.second_cut == ("high",) and found.to_dict()["second_cut"] == ["high"]
    assert str(found).startswith(f"{found.model}, labels kept behind high, batches of 8")
    assert "Client tail" in str(found)
    found.draw(tmp_path / "plan.svg")
    assert "<!-- client tail -->" in (tmp_path / "plan.svg").read_text()


def test_a_second_cut_in_front_of_which_there_is_none_is_refused():
    with pytest.raises(ValueError, match="No cut by a single name.*Received: second_cut="):
        plan(compiled(models.mlp()), second_cut="low")


def test_every_legal_cut_is_planned_and_the_fastest_is_first():
    model = compiled(models.residual())
    found = plan(model)
    assert {each.name for each in found.cuts} == {each.name for each in keras_split.list_cuts(model)}
    times = [each.seconds for each in found.cuts]
    assert times == sorted(times) and times[0] < times[-1]
    assert found.best is found.cuts[0]


def test_a_step_of_known_size_takes_the_time_of_its_parts():
    [cut] = plan(small()).cuts
    assert cut.up == {"smashed": 8 * 3 * 4, "label": 8 * 2 * 4}
    assert cut.down == {"output": 8 * 2 * 4, "cut_gradient": 8 * 3 * 4}
    assert (cut.client_flops, cut.server_flops) == (3 * 8 * 27, 3 * 8 * 14)
    expected = {
        "client forward": 8 * 27 / 10e9,
        "upload": 8 * 160 / 100e6,
        "server": 3 * 8 * 14 / 1000e9,
        "download": 8 * 160 / 100e6,
        "client backward": 2 * 8 * 27 / 10e9,
        "round trip": 0.02,
    }
    assert cut.parts == pytest.approx(expected)
    assert cut.seconds == pytest.approx(sum(expected.values()))
    assert sum(cut.shares.values()) == pytest.approx(1)


def test_a_frozen_head_has_no_backward_pass_and_no_cut_gradients():
    [cut] = plan(small(head_trains=False)).cuts
    assert "cut_gradient" not in cut.down
    assert cut.parts["client backward"] == 0
    assert cut.client_flops == 8 * 27


def test_every_answer_costs_a_round_trip_and_stages_of_one_name_add_up():
    twice = [
        *[Message("upload", "up", {"smashed": 10}), Message("download", "down", {"output": 20})],
        *[Message("upload", "up", {"smashed": 30}), Message("download", "down", {"cut_gradient": 40})],
        *[Work("tail", "client", 10**9), Work("tail", "client", 10**9)],
    ]
    cut = planned(("low",), twice, CONDITIONS)
    assert cut.parts["round trip"] == 2 * 0.02
    assert cut.parts["tail"] == pytest.approx(2 / 10)
    assert (cut.up, cut.down) == ({"smashed": 40}, {"output": 20, "cut_gradient": 40})


@pytest.mark.parametrize(
    ("name", "part", "factor"),
    [
        ("bandwidth_mbps", "upload", 1 / 2),
        ("bandwidth_mbps", "download", 1 / 2),
        ("rtt_ms", "round trip", 2),
        ("client_gflops", "client forward", 1 / 2),
        ("client_gflops", "client backward", 1 / 2),
        ("server_gflops", "server", 1 / 2),
        ("batch_size", "upload", 2),
        ("batch_size", "server", 2),
    ],
)
def test_each_condition_moves_its_own_parts(name, part, factor):
    model = small()
    before, after = (
        plan(model, **{name: times * {**LINE, "batch_size": 8}[name]}).best.parts[part] for times in (1, 2)
    )
    assert after == pytest.approx(factor * before)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("sparse_categorical_crossentropy", 8 * 8),
        (keras.losses.SparseCategoricalCrossentropy(), 8 * 8),
        ("categorical_crossentropy", 8 * 2 * 4),
        (keras.losses.mean_squared_error, 8 * 2 * 4),
    ],
)
def test_labels_are_guessed_by_the_loss(loss, expected):
    assert plan(small(loss)).best.up["label"] == expected


def test_given_labels_and_weights_count_as_fit_sends_them():
    labels, weights = np.zeros((3, 2), "float64"), tf.TensorSpec((None,), "float32")
    cut = plan(small(), labels=labels, sample_weight=weights).best
    assert (cut.up["label"], cut.up["sample_weight"]) == (8 * 2 * 4, 8 * 4)
    assert plan(small(), labels=tf.TensorSpec((None, 2), "float64")).best.up["label"] == 8 * 2 * 8


def test_chosen_cuts_alone_are_planned():
    model = models.several_inputs_and_outputs()
    model.compile("sgd", {"kind": "sparse_categorical_crossentropy", "size": "mse"})
    found = plan(model, cuts=["think", ["flatten", "learn"]])
    assert {each.cut for each in found.cuts} == {("think",), ("flatten", "learn")}


@pytest.mark.parametrize("cuts", ["low", [], ()])
def test_cuts_to_compare_are_a_list_of_at_least_one(cuts):
    with pytest.raises(ValueError, match="list of cuts.*Received: cuts="):
        plan(small(), cuts=cuts)


def test_planning_leaves_the_model_as_it_was():
    model = compiled(models.penalised())
    before, optimizer = model.get_weights(), model.optimizer
    names = list(model.output_names) if hasattr(model, "output_names") else None
    plan(model)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert model.optimizer is optimizer
    assert names is None or list(model.output_names) == names
    x, y = models.floats(6), models.classes()
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])


def test_a_plan_is_a_table_with_a_line_for_each_cut():
    found = plan(compiled(models.mlp()))
    title, _, heading, rule, *lines = str(found).splitlines()
    assert "batches of 8, 100 Mbit/s, 20 ms round trip" in title
    assert heading.split("   ")[0] == "Cut" and set(rule) == {"─"}
    assert [line.split()[0] for line in lines] == [each.name for each in found.cuts]
    assert len({len(line) for line in (heading, rule, *lines)}) == 1


def test_a_plan_becomes_json_and_back():
    found = plan(small())
    read = json.loads(json.dumps(found.to_dict()))
    assert read["conditions"]["batch_size"] == 8
    assert read["cuts"][0]["cut"] == ["low"]
    assert read["cuts"][0]["seconds"] == found.best.seconds
    assert read["cuts"][0]["bytes_up"] == found.best.bytes_up


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture_has_the_kind_that_its_name_says(tmp_path, ending):
    path = tmp_path / f"plan.{ending}"
    plan(compiled(models.mlp())).draw(path)
    beginning = path.read_bytes()[:6]
    assert beginning.endswith(b"PNG\r\n") if ending == "png" else beginning == b"<?xml "


def test_the_picture_says_how_many_cuts_it_leaves_out(tmp_path):
    path = tmp_path / "plan.svg"
    found = plan(compiled(models.mlp()))
    found.draw(path, most=1)
    # Text is drawn as paths, and each path has what it says as a comment.
    drawn = path.read_text()
    assert f"{len(found.cuts) - 1} slower cuts left out" in drawn
    assert f"<!-- {found.best.name} -->" in drawn
    assert f"<!-- {found.cuts[-1].name} -->" not in drawn


def test_a_picture_without_bars_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: most=0"):
        plan(small()).draw(tmp_path / "plan.svg", most=0)


@pytest.mark.parametrize("name", [*LINE, "batch_size"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_conditions_that_cannot_be_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        plan(small(), **{name: value})


def test_a_line_without_delay_is_possible():
    assert plan(small(), rtt_ms=0).best.parts["round trip"] == 0


def ragged():
    x = keras.Input((None,), dtype="int32")
    x_mean = layers.GlobalAveragePooling1D()(layers.Embedding(7, 4)(x))
    return compiled(keras.Model(x, layers.Dense(2)(x_mean)))


def uncompiled():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])


def for_four_rows():
    layered = [keras.Input((4,), batch_size=4), layers.Dense(3), layers.Dense(2)]
    return compiled(keras.Sequential(layered))


def without_cut():
    return compiled(keras.Sequential([keras.Input((4,)), layers.Dense(3)]))


@pytest.mark.parametrize(
    ("build", "advice"),
    [
        (ragged, "an input of a typical size"),
        (uncompiled, "Call `model.compile"),
        (for_four_rows, "batches of 4 only"),
        (without_cut, "no legal cut.*put a layer with weights in front"),
        (lambda: small("ctc"), "Give `labels=`"),
        (lambda: small("crossentropy"), "Give `labels=`"),
        (lambda: small("ce"), "Give `labels=`"),
    ],
)
def test_what_no_step_can_be_predicted_from_is_refused_with_advice(build, advice):
    with pytest.raises(ValueError, match=advice):
        plan(build())


def test_labels_without_a_shape_are_refused():
    with pytest.raises(ValueError, match="must have a shape"):
        plan(small(), labels="int64")


def test_gflops_are_operations_by_the_median_of_the_passes(monkeypatch):
    # Every look at the clock is a quarter of a second later.
    ticks = iter(np.arange(0, 100, 0.25))
    clock = types.SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr("keras_split.planning.speed.time", clock)
    assert measure_gflops(small(), batch_size=5, runs=3) == pytest.approx(5 * 41 / 0.25 / 1e9)


def test_a_model_without_operations_measures_nothing():
    with pytest.raises(ValueError, match="counts no floating-point operations"):
        measure_gflops(keras.Sequential([keras.Input((4,)), layers.Flatten()]))


@pytest.mark.parametrize("nothing", [{"batch_size": 0}, {"runs": 0}])
def test_nothing_to_time_measures_nothing(nothing):
    with pytest.raises(ValueError, match="at least one sample and one pass"):
        measure_gflops(small(), **nothing)


def test_inputs_that_may_vary_in_size_measure_nothing():
    with pytest.raises(ValueError, match="an input of a typical size"):
        measure_gflops(ragged())


def test_a_step_that_takes_no_time_has_no_shares():
    cut = PlannedCut(("low",), {"upload": 0.0}, {}, {}, 0, 0)
    assert cut.shares == {"upload": 0.0}
