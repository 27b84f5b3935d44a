"""What a server looks at before it builds what a client has sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers

from keras_split.errors import ConnectionLost, Refused, TopologyError
from keras_split.numerics import Numerics
from keras_split.partition import named_variables, partition
from keras_split.server import ServingOptions, admission
from keras_split.server.hosting import Hosting
from keras_split.state import read

Body = dict[str, Any]


def model(*after: layers.Layer) -> keras.Model:
    first = layers.Dense(6, name="low")
    return keras.Sequential([keras.Input((4,)), first, *after, layers.Dense(2, name="high")], name="plain")


def body_of(whole: keras.Model) -> tuple[Body, list[Any]]:
    """As `SplitModel` sends it, with its state."""
    parts = partition(whole, "low")
    variables = named_variables(parts.body.model)
    body = {
        "topology": parts.topology(),
        "body": parts.body.to_config(),
        "variables": list(variables),
        "paths": {name: each.path for name, each in variables.items()},
        "numerics": Numerics.current().to_config(),
        "modules": [],
    }
    return json.loads(json.dumps(body)), list(read(variables).values())


@pytest.fixture
def hosting(tmp_path: Path) -> Hosting:
    """Of a server that accepts bodies of clients."""
    (tmp_path / "scratch").mkdir()
    return Hosting(ServingOptions(), tmp_path / "scratch", admission.clients())


def test_an_accepted_body_has_the_clients_values(hosting: Hosting) -> None:
    body, state = body_of(model(layers.Dropout(0.5, seed=3, name="drop")))
    found = hosting.find(hosting.host(json.dumps(body), "", state))
    values = read(found.variables())
    assert all((values[name] == value).all() for name, value in zip(body["variables"], state, strict=True))


def test_an_accepted_body_trains_what_its_client_would(hosting: Hosting) -> None:
    whole = model(layers.Dense(3, name="middle"))
    whole.get_layer("middle").kernel.trainable = False
    body, state = body_of(whole)
    found = hosting.find(hosting.host(json.dumps(body), "", state))
    trained = [each.path for each in found.segment.model.trainable_variables]
    assert trained == ["plain/middle/bias", "plain/high/kernel", "plain/high/bias"]
    body["body"]["frozen"].append("middle/7:gamma")
    with pytest.raises(TopologyError, match="do not belong together|no 'middle/7:gamma'"):
        hosting.host(json.dumps(body), "", state)


def test_a_server_of_a_model_takes_no_body(tmp_path: Path) -> None:
    body, state = body_of(model())
    with pytest.raises(Refused, match="hosts no other"):
        Hosting(ServingOptions(), tmp_path, admission.nobody()).host(json.dumps(body), "", state)


def test_code_is_never_built(hosting: Hosting) -> None:
    body, state = body_of(model(layers.Lambda(lambda x: x, output_shape=(6,), name="own")))
    with pytest.raises(TopologyError, match="does not build the body.*own.*Lambda"):
        hosting.host(json.dumps(body), "", state)


def test_files_of_the_server_are_never_read(hosting: Hosting, tmp_path: Path) -> None:
    body, state = body_of(model(layers.Dropout(0.5, name="drop")))
    entry = body["body"]["model"]["config"]["layers"][1]
    entry["class_name"] = "StringLookup"
    entry["config"] = {"name": "drop", "vocabulary": str(tmp_path / "secret.txt")}
    with pytest.raises(TopologyError, match="StringLookup.*not accepted"):
        hosting.host(json.dumps(body), "", state)


def test_modules_that_a_client_names_are_not_imported(hosting: Hosting, tmp_path, monkeypatch) -> None:
    (tmp_path / "module_of_a_client.py").write_text("raise SystemExit('It was imported.')")
    monkeypatch.syspath_prepend(tmp_path)
    body, state = body_of(model())
    hosting.host(json.dumps({**body, "modules": ["module_of_a_client"]}), "", state)


def test_modules_that_an_owner_names_are_imported(tmp_path, monkeypatch) -> None:
    (tmp_path / "module_of_the_owner.py").write_text("raise SystemExit('It was imported.')")
    monkeypatch.syspath_prepend(tmp_path)
    body, state = body_of(model())
    hosting = Hosting(ServingOptions(), tmp_path / "scratch", admission.owner())
    with pytest.raises(SystemExit, match="It was imported"):
        hosting.host(json.dumps({**body, "modules": ["module_of_the_owner"]}), "", state)


def test_a_body_larger_than_the_limits_is_refused_unbuilt(hosting: Hosting) -> None:
    body, state = body_of(model())
    body["body"]["model"]["config"]["layers"][1]["config"]["units"] = 1 << 24
    body["body"]["model"]["config"]["layers"][0]["config"]["batch_shape"] = [None, 1 << 20]
    with pytest.raises(TopologyError, match="parameters"):
        hosting.host(json.dumps(body), "", state)


@pytest.mark.parametrize("kind", [admission.clients, admission.owner])
def test_a_name_that_leads_out_of_the_folder_leads_nowhere(tmp_path: Path, kind) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    hosting = Hosting(ServingOptions(), scratch, kind())
    body, state = body_of(model())
    body["topology"]["name"] = "../outside"
    name = hosting.host(json.dumps(body), "", state)
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
    hosting.drop(name)
    assert not list(scratch.iterdir())


def test_settings_of_a_client_are_plain(hosting: Hosting) -> None:
    hosting.check_settings(json.dumps({"loss": "mse", "loss_weights": None}))
    evil = {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"}
    with pytest.raises(TopologyError, match="Compile settings of a client are Keras' own"):
        hosting.check_settings(json.dumps({"loss": evil}))


def test_numerics_that_are_refused_leave_the_servers_own(hosting: Hosting) -> None:
    before = Numerics.current()
    body, state = body_of(model())
    body["numerics"] |= {"floatx": "float64", "image_data_format": "sideways"}
    with pytest.raises(TopologyError, match="sideways"):
        hosting.host(json.dumps(body), "", state)
    assert Numerics.current() == before


def test_a_dropped_bodys_folder_goes_even_if_its_memory_does_not(
    hosting: Hosting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, state = body_of(model())
    name = hosting.host(json.dumps(body), "", state)
    served = hosting.find(name)
    served.engine.change(served.snapshot)
    assert len(list(tmp_path.rglob("*.state"))) == 1
    release = served.release

    def fail() -> None:
        release()
        raise MemoryError

    monkeypatch.setattr(served, "release", fail)
    with pytest.raises(MemoryError):
        hosting.drop(name)
    assert not list(tmp_path.rglob("*.state"))


def test_a_dropped_body_gives_its_memory_back(hosting: Hosting) -> None:
    body, state = body_of(model())
    name = hosting.host(json.dumps(body), "", state)
    served = hosting.find(name)
    assert sum(each.size for each in read(served.variables()).values()) == 6 * 2 + 2
    hosting.drop(name)
    assert sum(each.size for each in read(served.variables()).values()) == 0
    with pytest.raises(ConnectionLost, match="stopping"):
        served.check()
