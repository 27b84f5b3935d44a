"""The README's section on several data owners works as it is written, in an empty folder."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from keras_split import datasets, zoo
from support.environment import environment
from support.processes import Process

README = Path(__file__).parents[2] / "README.md"
MEMBERS = ("hospital-a", "hospital-b")


def blocks() -> tuple[list[str], str]:
    """Commands, and the data owners' program."""
    section = README.read_text().split("\n## Several data owners\n")[1].split("\n## ")[0]
    shell = "".join(re.findall(r"^```\n(.*?)^```$", section, re.M | re.S))
    (program,) = re.findall(r"^```python\n(.*?)^```$", section, re.M | re.S)
    return shell.splitlines(), program


@pytest.mark.timeout(300)
def test_keys_roster_server_and_data_owners_work_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Before two processes would prepare it at the same time.
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    datasets.load("digits", data_dir=tmp_path / "data")
    model = zoo.lenet((8, 8, 1))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save("lenet.keras")
    commands, program = blocks()
    (serve,) = [command for command in commands if " serve " in command]
    for command in commands:
        if command != serve:
            keras_split(command)
    # Another test may have the port.
    with Process([*arguments(serve), "--port", "0"], tmp_path / "server.log") as server:
        port = server.line("Listening on ").rpartition(":")[2]
        Path("hospital.py").write_text(program.replace("localhost:50051", f"localhost:{port}"))
        with contextlib.ExitStack() as running:
            owners = [
                running.enter_context(Process(["hospital.py", name, str(at)], tmp_path / f"{name}.log"))
                for at, name in enumerate(MEMBERS)
            ]
            assert [owner.wait(200) for owner in owners] == [0, 0]
    (links,) = Path("run").glob("*/links")
    # The secret start, and the turns of two members, five epochs each.
    assert len(list(links.glob("*.link"))) == 1 + 2 * 5


def keras_split(command: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments(command)], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def arguments(command: str) -> list[str]:
    program, *rest = shlex.split(command)
    assert program == "keras-split"
    return ["-m", "keras_split", *rest]
