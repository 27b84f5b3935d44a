"""Who has the turn, and nobody else, changes the body; a connection that ends leaves nothing open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message
from keras_split.errors import ConnectionLost, Refused, SettingsRefused, VersionMismatch
from keras_split.server.dialogue import Dialogue
from keras_split.server.open_step import OpenStep
from keras_split.server.served import Served
from keras_split.state import read
from support.served import begin, prepared, serve, settings, step


@pytest.fixture
def label_free(tmp_path: Path) -> Iterator[Served]:
    served = serve(tmp_path, label_free=True)
    yield served
    served.engine.stop()


def request(kind: str, ticket: pb.Ticket) -> Message:
    contents = {
        "snapshot": pb.Snapshot(),
        "restore": pb.Restore(ticket=ticket),
        "finalize": pb.Finalize(),
        "inspect": pb.Inspect(),
        "reset_states": pb.ResetStates(),
    }
    return Message(pb.Header(**{kind: contents[kind]}), [])


@pytest.mark.parametrize("kind", ["snapshot", "restore", "finalize", "inspect", "reset_states"])
def test_a_client_that_was_silent_for_too_long_does_nothing_in_the_turn_of_another(
    tmp_path: Path, kind: str
) -> None:
    served = serve(tmp_path, owned=True, lease_seconds=1e-9)
    silent = begin(served, client="silent")
    ticket = silent._answer(request("snapshot", pb.Ticket()))[0].ticket
    begin(served, client="other")
    before, lineage = read(served.variables()), served.turns.lineage
    with pytest.raises(VersionMismatch, match="turn is over"):
        silent._answer(request(kind, ticket))
    assert served.turns.lineage == lineage
    assert all((value == before[name]).all() for name, value in read(served.variables()).items())
    assert len(list(tmp_path.glob("*.state"))) == 1
    served.engine.stop()


def test_a_connection_that_ends_in_a_step_leaves_nothing_open(label_free: Served) -> None:
    ask = step(label_free, prepared(label_free, label_free=True), label_free=True)
    broken = begin(label_free)
    assert broken._answer(ask)[0].WhichOneof("content") == "forwarded"
    opened = broken._open
    assert label_free.open_step is opened is not None
    list(broken.converse(iter(())))
    with pytest.raises(ConnectionLost, match="went away"):
        opened.listen()
    assert label_free.open_step is None


def test_the_late_end_of_a_connection_leaves_the_step_of_the_next_one_open(label_free: Served) -> None:
    ask = step(label_free, prepared(label_free, label_free=True), label_free=True)
    broken = begin(label_free)
    broken._answer(ask)
    resumed = begin(label_free, broken._begun().begun.turn)
    assert resumed._answer(ask)[0].WhichOneof("content") == "forwarded"
    list(broken.converse(iter(())))
    assert label_free.open_step is resumed._open is not None
    list(resumed.converse(iter(())))


def test_a_step_that_ends_while_its_client_begins_anew_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(tmp_path)
    opened = OpenStep(Dialogue(1.0), step(served, ""))
    # Its own thread closes it right behind the first look.
    looks = iter([opened])
    looked_at = property(lambda self: next(looks, None), lambda self, value: None)
    monkeypatch.setattr(Served, "open_step", looked_at, raising=False)
    begin(served)
    served.engine.stop()


def test_a_server_that_stops_does_not_wait_for_a_silent_client(
    label_free: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras_split.server.served._STOP_SECONDS", 0.0)
    ask = step(label_free, prepared(label_free, label_free=True), label_free=True)
    silent = begin(label_free)
    assert silent._answer(ask)[0].WhichOneof("content") == "forwarded"
    label_free.stop()
    assert label_free.engine.change(lambda: label_free.turns.version) == 0
    with pytest.raises(ConnectionLost, match="went away"):
        silent._heard()


def test_who_trains_a_served_model_neither_reads_its_variables_nor_replaces_its_settings(
    tmp_path: Path,
) -> None:
    served = serve(tmp_path)
    with pytest.raises(Refused, match="Only the owner of a hosted body"):
        begin(served)._answer(request("inspect", pb.Ticket()))
    before = served.settings_text
    with pytest.raises(SettingsRefused, match="compile settings hold"):
        served.settle(settings("adam"))
    assert served.settings_text == before
    served.engine.stop()
