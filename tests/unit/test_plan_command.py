"""`keras-split plan` prints, and draws, what `keras_split.plan` predicts."""

from __future__ import annotations

import json

import keras
import pytest
from click.testing import CliRunner

import keras_split
from keras_split.cli import main
from support import models

LINE = {"bandwidth_mbps": 100.0, "rtt_ms": 20.0, "client_gflops": 10.0, "server_gflops": 1000.0}
OPTIONS = [word for name, value in LINE.items() for word in (f"--{name.replace('_', '-')}", str(value))]
USAGE = 2


@pytest.fixture
def source(tmp_path):
    """A saved model."""
    model = models.mlp()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.save(tmp_path / "model.keras")
    return str(tmp_path / "model.keras")


def run(*arguments: str):
    return CliRunner().invoke(main, ["plan", *arguments], prog_name="keras-split")


def expected(source, **options):
    return keras_split.plan(keras.models.load_model(source), **LINE, **options)


def test_it_prints_the_table_of_the_plan(source):
    result = run(source, *OPTIONS)
    assert result.exit_code == 0
    assert result.output == f"{expected(source)}\n"


def test_json_is_the_plan_under_the_given_conditions(source):
    result = run(source, *OPTIONS, "--batch-size", "7", "--cut", "low", "--cut", "high", "--json")
    assert json.loads(result.output) == expected(source, batch_size=7, cuts=["low", "high"]).to_dict()


def test_with_a_second_cut_it_plans_the_step_without_labels(source):
    result = run(source, *OPTIONS, "--second-cut", "high")
    assert result.exit_code == 0
    assert result.output == f"{expected(source, second_cut='high')}\n"
    assert "labels kept behind high" in result.output


def test_plot_draws_besides(source, tmp_path):
    result = run(source, *OPTIONS, "--plot", str(tmp_path / "plan.png"))
    assert result.output == f"{expected(source)}\n"
    assert (tmp_path / "plan.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize("missing", LINE)
def test_a_condition_that_is_missing_is_asked_for(source, missing):
    name = f"--{missing.replace('_', '-')}"
    at = OPTIONS.index(name)
    result = run(source, *OPTIONS[:at], *OPTIONS[at + 2 :])
    assert result.exit_code == USAGE
    assert name in result.output


def test_a_line_without_bandwidth_is_a_usage_error(source):
    result = run(source, *OPTIONS, "--bandwidth-mbps", "0")
    assert result.exit_code == USAGE
    assert "--bandwidth-mbps" in result.output
