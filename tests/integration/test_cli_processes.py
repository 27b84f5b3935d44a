"""The program as a user's shell runs it."""

from __future__ import annotations

import json
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from keras_split.peer import PROTOCOL
from keras_split.transport import SERVICE
from support import bodies
from support.environment import environment
from support.processes import Server

PNG = b"\x89PNG\r\n"


def run(*arguments, **options):
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=250, **options)


def test_help_does_not_wait_for_tensorflow():
    result = run("-X", "importtime", "-m", "keras_split", "--help")
    assert result.returncode == 0 and "demo" in result.stdout
    assert "keras_split.cli" in result.stderr
    assert not {"tensorflow", "keras", "grpc"} & {
        line.rpartition("|")[2].strip() for line in result.stderr.splitlines()
    }


def test_the_package_tells_its_version():
    assert run("-m", "keras_split", "--version").stdout.startswith("keras-split, version ")


def test_status_tells_what_the_server_does(shared_server, pki):
    status = ["-m", "keras_split", "status", shared_server.address]
    tls = ["--certificates", str(pki / "owner")]
    found = json.loads(run(*status, *tls, "--json").stdout)
    assert found["cut"] == bodies.CUT and found["uptime_seconds"] > 0
    assert found["peer"]["protocol"] == PROTOCOL
    table = run(*status, *tls).stdout
    assert f"cut at {bodies.CUT}" in table and "Training now    nobody" in table


def test_status_without_the_right_certificate_ends_in_one_line(shared_server):
    result = run("-m", "keras_split", "status", shared_server.address, "--insecure")
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and "TLS" in result.stderr


def test_health_checks_are_answered_over_tls(shared_server):
    credentials = shared_server.credentials().channel_credentials()
    with grpc.secure_channel(shared_server.address, credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        reply = stub.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=100)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_a_terminated_server_keeps_its_state_and_ends_well(pki, tmp_path):
    with Server(pki, tmp_path, "support.bodies:small", bodies.CUT) as server:
        assert server.port > 0
        server.terminate()
        assert server.wait() == 0
        assert len(list(server.checkpoints.glob("*.state"))) == 1
        assert "Kept update 0" in server.log and "Traceback" not in server.log


@pytest.mark.parametrize("second_cut", [None, "dense_1"])
def test_the_demo_shows_that_split_equals_whole(tmp_path, second_cut):
    options = ["--epochs", "1", "--out", "files", "--data-dir", str(tmp_path / "data")]
    options += ["--second-cut", second_cut] if second_cut else []
    result = run("-m", "keras_split", "demo", *options, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Split equals whole, to the last bit." in result.stdout
    assert ("label-free" in result.stdout) == bool(second_cut)
    found = json.loads((tmp_path / "files" / "results.json").read_text())
    assert found["second_cut"] == second_cut
    assert found["largest_weight_difference"] == 0
    assert found["history"]["whole"]["loss"] == found["history"]["split"]["loss"]
    assert (tmp_path / "files" / "learning.png").read_bytes().startswith(PNG)
