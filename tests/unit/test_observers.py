"""What the observers of a server make of what happens."""

from __future__ import annotations

import json
import logging
import urllib.request

import click
import numpy as np
import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.cli.logs import JsonLines
from keras_split.cli.standing import members, shown
from keras_split.cli.status import fields
from keras_split.server.observers import Event, Observer, StepSeen, Watchers
from keras_split.server.observers.accounts import account_of
from keras_split.server.observers.calls import CallsSeen
from keras_split.server.observers.census import OTHERS, Census
from keras_split.server.observers.lines import Lines
from keras_split.server.observers.metrics import Metrics
from keras_split.server.observers.turn import TurnSeen


class Noting(Observer):
    """Remembers events."""

    def __init__(self):
        self.events: list[Event] = []

    def see(self, event: Event) -> None:
        self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


class Failing(Observer):
    def see(self, event: Event) -> None:
        raise OSError("The disk is gone.")

    def step(self, seen: StepSeen) -> None:
        raise OSError("The disk is gone.")


def test_an_observer_that_fails_stops_neither_the_server_nor_the_others(caplog):
    noting = Noting()
    watchers = Watchers([Failing(), noting])
    watchers.see(Event("joined", "a"))
    watchers.step(StepSeen("a", 1, 0.1, []))
    assert noting.kinds == ["joined"] and watchers.census.parties()["a"].steps == 1
    assert [record.message for record in caplog.records] == ["Failing failed; the server goes on."] * 2


def test_a_wait_lasts_from_the_first_question_to_the_turn():
    now = [10.0]
    census = Census(lambda: now[0])
    for at in (10.0, 11.0, 14.0):
        now[0] = at
        census.see(Event("turn_waits", "a", {"ahead": 1}))
    assert census.parties()["a"].waiting_seconds(15.0) == 5.0
    now[0] = 16.5
    census.see(Event("turn_granted", "a", {"turn": 2, "commits": 1}))
    found = census.parties()["a"]
    assert (found.waits, found.waited_seconds, found.waiting_seconds(20.0)) == (1, 6.5, 0.0)


def test_made_up_names_do_not_fill_the_memory():
    census = Census()
    for number in range(2000):
        census.step(StepSeen(f"name {number}", 1, 0.1, []))
    parties = census.parties()
    assert len(parties) == 1025 and parties[OTHERS].steps == 2000 - 1024


def test_bytes_of_nobody_in_particular_are_no_partys():
    watchers = Watchers()
    account_of(watchers, "").received(5)
    account_of(watchers, "a").received(7)
    account_of(watchers, "a").sent(9)
    [(name, found)] = watchers.census.parties().items()
    assert (name, found.bytes_received, found.bytes_sent) == ("a", 7, 9)


def test_a_turn_that_is_granted_again_is_told_once():
    noting = Noting()
    calls = CallsSeen(noting)
    for turn in (1, 1, 2):
        calls.asked("a", pb.TurnRequest(), pb.TurnReply(turn=turn))
    calls.asked("a", pb.TurnRequest(looks=True), pb.TurnReply(commits=3))
    calls.asked("a", pb.TurnRequest(leaves=True), pb.TurnReply())
    assert noting.kinds == ["turn_granted", "turn_granted", "turn_left"]


def test_an_exchange_is_described_once_for_each_party_and_without_values():
    noting = Noting()
    calls = CallsSeen(noting)
    spec = pb.TensorSpec(role=pb.SMASHED, dtype=pb.FLOAT32, dims=[-1, 3])
    request, reply = pb.PrepareRequest(mode=pb.TRAIN, inputs=[spec]), pb.PrepareReply(signature="s")
    for party in ("a", "a", "b"):
        calls.prepared(party, request, reply)
    assert [event.party for event in noting.events] == ["a", "b"]
    receives = [{"role": "smashed", "dtype": "float32", "shape": [None, 3]}]
    assert noting.events[0].facts["receives"] == receives


def test_the_steps_of_a_turn_are_told_together_at_its_end():
    noting = Noting()
    seen = TurnSeen(noting, "a", 3, update=10)
    for _ in range(4):
        seen.crossed(received=[np.zeros((2, 3), "float32")], sent=[np.zeros(5, "float16")])
        seen.applied("signature", rows=2)
    seen.ended(14)
    seen.ended(14)
    assert noting.kinds == ["trained", "turn_ended", "turn_ended"]
    told = noting.events[0].facts
    assert (told["turn"], told["first_update"], told["update"], told["steps"]) == (3, 10, 14, 4)
    assert (told["rows"], told["bytes_received"], told["bytes_sent"]) == (8, 96, 40)


@pytest.fixture
def metrics():
    census = Census()
    reply = pb.StatusReply(version=8, committed_version=6, turn=2, lease_seconds=30)
    reply.members.append(pb.Member(name="a", state="trains"))
    found = Metrics("127.0.0.1", 0, census, lambda: reply)
    yield found, census
    found.close()


def test_metrics_are_what_prometheus_reads(metrics):
    found, census = metrics
    census.step(StepSeen("a", 7, 0.02, []))
    found.step(StepSeen("a", 7, 0.02, []))
    census.see(Event("refused", "b", {"call": "Train", "error": "TrainerBusy"}))
    with urllib.request.urlopen(f"http://127.0.0.1:{found.port}/metrics", timeout=100) as answer:
        lines = answer.read().decode().splitlines()
    assert "# TYPE keras_split_steps_total counter" in lines
    assert 'keras_split_steps_total{member="a"} 1.0' in lines
    assert 'keras_split_refused_calls_total{error="TrainerBusy",member="b"} 1.0' in lines
    assert 'keras_split_holder{member="a"} 1.0' in lines
    assert {"keras_split_updates 8.0", "keras_split_committed_updates 6.0"} < set(lines)
    assert 'keras_split_step_seconds_bucket{le="0.025"} 1.0' in lines
    assert 'keras_split_step_seconds_bucket{le="0.01"} 0.0' in lines


def test_a_server_of_other_peoples_bodies_has_metrics_as_well():
    metrics = Metrics("127.0.0.1", 0, Census(), lambda: None)
    names = {family.name for family in metrics.registry.collect()}
    metrics.close()
    assert "keras_split_steps" in names and "keras_split_updates" not in names


def record_of(event: Event, caplog) -> logging.LogRecord:
    with caplog.at_level(logging.DEBUG):
        Lines().see(event)
    return caplog.records[-1]


def test_a_structured_log_has_one_line_of_json_with_the_events_facts(caplog):
    facts = {"number": 3, "turn": 2, "update": 14}
    line = JsonLines().format(record_of(Event("committed", "a\nb", facts), caplog))
    found = json.loads(line)
    assert len(line.splitlines()) == 1
    assert (found["event"], found["member"], found["turn"], found["version"]) == ("committed", "a\nb", 2, 14)
    assert found["level"] == "info" and found["time"].endswith("Z")


def test_a_traceback_stays_within_its_line():
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("name", logging.ERROR, "file", 1, "Failed: %s", ("it",), info)
    line = JsonLines().format(record)
    assert len(line.splitlines()) == 1 and "second" in json.loads(line)["traceback"]
    assert json.loads(line)["message"] == "Failed: it" and json.loads(line)["event"] is None


def test_the_table_of_members_says_who_trains_who_waits_and_who_is_away():
    told = [
        pb.Member(name="hospital-a", state="trains", turns=3, steps=1200, commits=4, bytes_sent=1_500_000),
        pb.Member(name="hospital-b", state="waits", waiting_seconds=75, waited_seconds=3700),
        pb.Member(name="hospital-c", state="away", waiting_seconds=9),
    ]
    head, rule, *rows = click.unstyle(members([fields(each) for each in told])).splitlines()
    cells = [row.split("   ") for row in rows]
    stripped = [[cell.strip() for cell in row if cell.strip()] for row in cells]
    assert stripped[0] == ["hospital-a", "trains", "3", "1,200", "4", "0 B", "1.5 MB", "-", "0 s", "0"]
    assert stripped[1][7:9] == ["1 min 15 s", "1 h 1 min"]
    assert stripped[2][1] == "away" and stripped[2][7] == "-"
    assert len(head) == len(rule) == len(rows[0])


def test_status_shows_a_run_only_where_there_is_one():
    alone = pb.StatusReply(model="lenet", cut="pool2", trainer="3f2a1b", turn=4, lease_seconds=599)
    run = pb.StatusReply(
        model="lenet",
        cut="pool2",
        run="10b9",
        roster_epoch=2,
        quota="3 epochs",
        commits=5,
        committed_version=40,
    )
    texts = [shown({**fields(each), "peer": fields(each.peer), "members": []}) for each in (alone, run)]
    assert "Run" not in texts[0] and "3f2a1b, turn 4, lease of 9 min 59 s left" in texts[0]
    assert "10b9, epoch 2 of the roster" in texts[1] and "5, the last at update 40" in texts[1]
    assert "nobody" in texts[1]
