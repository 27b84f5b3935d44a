"""`connect` runs what was looked at and nothing else, and closes what it has opened when it fails."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from keras_split import SplitModel
from keras_split.audit import AuditLog
from keras_split.crypto import Identity, create_roster
from keras_split.errors import ConnectionLost, SettingsRefused
from keras_split.naming import topology_digest
from keras_split.partition import partition
from keras_split.session import Joined, Session
from support.served import settings

NOWHERE = "127.0.0.1:1"
FAULTS: list[type[BaseException]] = [ConnectionLost, KeyboardInterrupt]


@pytest.fixture
def joined() -> Joined:
    """What a server of one layer behind the cut tells."""
    layers = [keras.layers.Dense(units, name=name) for name, units in {"low": 3, "high": 2}.items()]
    topology = json.loads(
        json.dumps(partition(keras.Sequential([keras.Input((4,)), *layers]), "low").topology())
    )
    return Joined(topology, topology_digest(topology), json.loads(settings()), False, {}, 0)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


def half(joined: Joined) -> SplitModel:
    """As `keras.models.load_model` returns it."""
    return SplitModel.from_config({"topology": json.dumps(joined.topology), "frozen": "[[]]"})


def assert_free(log: Path) -> None:
    AuditLog(log).close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_new_client_that_cannot_join_leaves_its_log_to_the_next_attempt(
    joined: Joined, log: Path, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    monkeypatch.setattr(Session, "join", failing(fault))
    with pytest.raises(fault):
        SplitModel.connect(NOWHERE, insecure=True, audit_log=log)
    assert_free(log)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_loaded_half_that_cannot_join_leaves_its_log_to_the_next_attempt(
    joined: Joined, log: Path, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    monkeypatch.setattr(Session, "join", failing(fault))
    with pytest.raises(fault):
        half(joined).connect(NOWHERE, insecure=True, audit_log=log)
    assert_free(log)


def test_a_loaded_half_whose_settings_are_others_leaves_its_log_to_the_next_attempt(
    joined: Joined, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "join", lambda session, settings=None: joined)
    split = half(joined)
    split.compile("adam", "mse")
    with pytest.raises(SettingsRefused):
        split.connect(NOWHERE, insecure=True, audit_log=log)
    assert_free(log)


def test_a_member_whose_way_of_handing_over_does_not_exist_leaves_its_log_to_the_next_attempt(
    joined: Joined, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "join", lambda session, settings=None: joined)
    identity = Identity.generate("a", post_quantum=False)
    roster = tmp_path / "roster.json"
    roster.write_text(create_roster([identity.member], [identity.member], signers=[identity]))
    given = {"identity": identity, "roster": roster, "handover": "nowhere", "audit_log": log}
    with pytest.raises(ValueError, match="where='nowhere'"):
        SplitModel.connect(NOWHERE, insecure=True, **given)
    assert_free(log)


def test_what_was_approved_is_what_is_compiled_whatever_the_server_says_later(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = dataclasses.replace(joined, settings=json.loads(settings("adam")))
    said, approved = iter([joined, later, later]), []
    monkeypatch.setattr(Session, "join", lambda session, settings=None: next(said))
    split = SplitModel.connect(
        NOWHERE, insecure=True, approve=lambda offer: not approved.append(offer.optimizer)
    )
    for _ in range(2):
        assert approved == ["SGD"] and isinstance(split.optimizer, keras.optimizers.SGD)
        split.compile(metrics=["mae"])
    split.close()


def failing(fault: type[BaseException]) -> Callable[..., Any]:
    def join(session: Session, settings: Any = None) -> Any:
        raise fault("Nobody is there.")

    return join
