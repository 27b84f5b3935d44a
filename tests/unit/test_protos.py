"""The generated modules are what the protos say."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "keras_split" / "_proto"


@pytest.mark.skipif(
    importlib.util.find_spec("grpc_tools") is None,
    reason="needs the pinned generator: pip install --no-deps -r requirements-proto.txt",
)
def test_generating_the_protos_again_changes_nothing(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate_protos.py", tmp_path], check=True, timeout=60
    )
    fresh = {path.name: path.read_text() for path in tmp_path.rglob("*.py*")}
    assert "split_pb2.py" in fresh
    for name, text in fresh.items():
        assert text == next(GENERATED.rglob(name)).read_text(), f"`make proto` would change {name}"
