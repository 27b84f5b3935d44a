"""A client sees what a server has it run, and runs what was approved and nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import pytest

from keras_split import SplitModel
from keras_split.errors import TopologyError
from keras_split.partition import Part
from keras_split.topology import Offer


@pytest.fixture
def connect(shared_server, monkeypatch: pytest.MonkeyPatch):
    """Connects to a server, and closes what came of it."""
    models = []

    def connected(**options: Any) -> SplitModel:
        models.append(SplitModel.connect(shared_server.address, shared_server.credentials(), **options))
        return models[-1]

    yield connected
    for each in models:
        each.close()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Configs of the parts that were built."""
    found: list[Any] = []
    build = Part.from_config

    def noted(config: Any) -> Part:
        found.append(config)
        return build(config)

    monkeypatch.setattr(Part, "from_config", noted)
    return found


def test_connect_prints_what_it_is_about_to_run(connect, built, capsys) -> None:
    split = connect()
    shown = capsys.readouterr().out
    for layer in split.head.layers[1:]:
        assert f"{layer.name} " in shown
        assert type(layer).__name__ in shown
    assert f"{split.head.count_params():,}, which stay here" in shown
    assert "bytes a sample" in shown
    assert built


def test_what_is_printed_goes_to_the_log_where_keras_prints_nothing(connect, capsys, caplog) -> None:
    keras.config.disable_interactive_logging()
    try:
        with caplog.at_level("INFO", logger="keras_split"):
            connect()
    finally:
        keras.config.enable_interactive_logging()
    assert "about to run" not in capsys.readouterr().out
    assert "about to run" in caplog.text


def test_a_function_approves_what_it_is_shown(connect, built) -> None:
    offers: list[Offer] = []

    def approve(offer: Offer) -> bool:
        assert not built
        offers.append(offer)
        return True

    split = connect(approve=approve)
    (offer,) = offers
    assert offer.parameters == split.head.count_params()
    assert [each.shape for each in offer.frontier] == [each.shape for each in split.head.outputs]
    with pytest.raises(dataclasses.FrozenInstanceError):
        offer.digest = ""  # type: ignore[misc]


def test_a_digest_approves_its_topology_and_prints_nothing(connect, capsys) -> None:
    digests: list[str] = []
    connect(approve=lambda offer: not digests.append(offer.digest))
    capsys.readouterr()
    assert connect(approve=digests[0].upper()).head is not None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "approve", [lambda offer: False, lambda offer: None, "0" * 64], ids=["no", "nothing", "another"]
)
def test_what_was_not_approved_is_not_built(connect, built, approve) -> None:
    with pytest.raises(TopologyError, match="Nothing was built"):
        connect(approve=approve)
    assert not built


def test_what_an_approving_function_raises_ends_the_connection(connect, built) -> None:
    def approve(offer: Offer) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        connect(approve=approve)
    assert not built


@pytest.mark.parametrize("approve", ["", "beef", "z" * 64, 7, True])
def test_what_is_no_way_to_approve_is_refused_without_a_server(approve) -> None:
    with pytest.raises(ValueError, match="approve"):
        SplitModel.connect("localhost:1", insecure=True, approve=approve)
