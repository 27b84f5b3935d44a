"""A server with all observers, one data owner with an audit log, and what they tell afterwards."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_split.audit import verify_log
from support.environment import environment
from support.run import Member, RunFiles, RunServer

NAME = "hospital-a"
ROWS, EPOCHS, STEPS = (0, 16), 2, 2


class Observed:
    """What is left of a run of one member: its texts while the server ran, and its files."""

    def __init__(self, folder):
        files = RunFiles(folder, [NAME, "hospital-b"])
        (folder / "server").mkdir()
        self.logs = {"server": folder / "server.audit", NAME: folder / "client.audit"}
        self.tensorboard = folder / "tensorboard"
        options = [
            *["--audit-log", str(self.logs["server"]), "--metrics", "0", "--log-format", "json"],
            *["--tensorboard", str(self.tensorboard), "--absence-seconds", "0"],
        ]
        with RunServer(files, folder / "server", *options) as server:
            given = {"rows": ROWS, "epochs": EPOCHS, "audit_log": str(self.logs[NAME])}
            with Member(files, folder / NAME, NAME, server.address, **given) as member:
                member.until_done()
            tls = ["--certificates", str(files.pki / NAME)]
            self.status = program("status", server.address, *tls)
            self.as_json = json.loads(program("status", server.address, *tls, "--json"))
            self.refused = subprocess.run(
                [sys.executable, "-m", "keras_split", "status", server.address]
                + ["--certificates", str(files.pki / "server")],
                env=environment(),
                capture_output=True,
                timeout=100,
            ).returncode
            self.metrics = scraped(server.log)
            server.terminate()
            assert server.wait() == 0
            self.lines = [json.loads(line) for line in server.log.splitlines()]
        self.links = server.links()

    def events(self, side):
        return [json.loads(line) for line in self.logs[side].read_text().splitlines()]

    def facts(self, side, event):
        return [each["facts"] for each in self.events(side) if each["event"] == event]


def program(*arguments):
    command = [sys.executable, "-m", "keras_split", *arguments]
    found = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=100)
    assert found.returncode == 0, found.stderr
    return found.stdout


def scraped(log):
    """The metrics by name and labels."""
    [where] = re.findall(r"http://127\.0\.0\.1:\d+/metrics", log)
    with urllib.request.urlopen(where, timeout=100) as answer:
        text = answer.read().decode()
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    return Observed(tmp_path_factory.mktemp("observed"))


def test_both_sides_logs_are_intact_and_say_the_same_of_each_commit(observed):
    assert all(verify_log(path).is_intact for path in observed.logs.values())
    client, server = observed.facts(NAME, "committed"), observed.facts("server", "committed")
    digests = [link.digest for link in observed.links]
    assert [each["link"] for each in server] == digests
    # The first envelope, of the secret, is the first turn's beginning.
    assert [each["link"] for each in client] == digests[1:]
    assert [each["number"] for each in client] == list(range(1, EPOCHS + 1))
    assert [each["ends"] for each in server] == [False] + [True] * EPOCHS


def test_both_sides_logs_count_the_same_steps(observed):
    for side in observed.logs:
        trained = observed.facts(side, "trained")
        assert [(each["first_update"], each["update"]) for each in trained] == [
            (0, STEPS),
            (STEPS, 2 * STEPS),
        ]
        assert [each["steps"] for each in trained] == [STEPS] * EPOCHS
    assert sum(each["rows"] for each in observed.facts("server", "trained")) == EPOCHS * (ROWS[1] - ROWS[0])


def test_both_sides_logs_have_the_same_topology_and_envelopes(observed):
    [serving] = observed.facts("server", "serving")
    assert {each["topology"] for each in observed.facts(NAME, "joined")} == {serving["topology"]}
    put = observed.facts(NAME, "envelope_put")
    assert put == observed.facts("server", "envelope_put")
    assert [each["blob"] for each in put] == [link.blob for link in observed.links]


def test_what_crosses_is_described_alike_by_both_sides(observed):
    [sent], [received] = (
        [each for each in observed.facts(side, "prepared") if each["mode"] == "train"]
        for side in (NAME, "server")
    )
    assert sent["sends"] == received["receives"] and sent["signature"] == received["signature"]
    assert {each["role"] for each in received["receives"]} == {"smashed", "label"}
    assert "cut_gradient" in {each["role"] for each in received["sends"]}


def test_a_refused_call_is_in_the_log_and_in_the_metrics(observed):
    assert observed.refused == 1
    assert {"call": "Status", "error": "Refused"} in observed.facts("server", "refused")
    assert observed.metrics['keras_split_refused_calls_total{error="Refused",member="server"}'] == 1


def test_metrics_count_what_was_done(observed):
    found = observed.metrics
    assert found[f'keras_split_steps_total{{member="{NAME}"}}'] == EPOCHS * STEPS
    assert found["keras_split_step_seconds_count"] == EPOCHS * STEPS
    assert found["keras_split_updates"] == found["keras_split_committed_updates"] == EPOCHS * STEPS
    assert found[f'keras_split_commits_total{{member="{NAME}"}}'] == EPOCHS + 1
    assert found[f'keras_split_turns_total{{member="{NAME}"}}'] == EPOCHS
    assert found[f'keras_split_holder{{member="{NAME}"}}'] == 0
    assert found[f'keras_split_received_bytes_total{{member="{NAME}"}}'] > 0


def test_status_shows_the_run_and_each_member(observed):
    found = observed.as_json
    assert (found["commits"], found["committed_version"]) == (EPOCHS + 1, EPOCHS * STEPS)
    assert (found["quota"], found["trainer"], found["turn"]) == ("1 epoch", "", 0)
    first, second = found["members"]
    assert (first["name"], first["steps"], first["commits"]) == (NAME, EPOCHS * STEPS, EPOCHS + 1)
    assert 0 < first["bytes_received"] < found["bytes_received"] + found["bytes_sent"]
    assert (second["name"], second["steps"], second["turns"]) == ("hospital-b", 0, 0)
    assert f"{NAME} " in observed.status and f"the last at update {EPOCHS * STEPS}" in observed.status


def test_tensorboard_has_the_loss_of_each_turn(observed):
    events = EventAccumulator(str(observed.tensorboard), size_guidance={"tensors": 0})
    events.Reload()
    tags = set(events.Tags()["tensors"])
    wanted = {f"{name}/{NAME}" for name in ("loss", "steps", "bytes_sent", "bytes_received", "wait_seconds")}
    assert tags == {*wanted, "turn"}
    points = events.Tensors(f"steps/{NAME}")
    assert [each.step for each in points] == [STEPS, 2 * STEPS]


def test_every_line_of_the_servers_log_is_json_with_the_same_names(observed):
    names = {"time", "level", "event", "member", "turn", "version", "message", "logger"}
    assert {frozenset(each) for each in observed.lines} == {frozenset(names)}
    commits = [each for each in observed.lines if each["event"] == "committed"]
    assert [(each["member"], each["version"]) for each in commits] == [
        (NAME, at * STEPS) for at in range(EPOCHS + 1)
    ]


def test_the_log_says_the_head_of_the_audit_log(observed):
    assert observed.lines[-1]["message"].endswith(f"head {verify_log(observed.logs['server']).head}.")
