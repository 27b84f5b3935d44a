"""Generates keras_split/_proto from protos/: `generate_protos.py [OUTPUT_DIR]`.

Needs the grpcio-tools of requirements-proto.txt, installed with --no-deps. Only messages are
generated; the calls are made from the service's descriptor, in keras_split/transport/calls.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
OUTPUT = ROOT / "keras_split" / "_proto"


def generate(output: Path, protos: Path = PROTOS) -> None:
    """Writes `output/<version>/<name>_pb2.py` and `.pyi` for each proto."""
    with tempfile.TemporaryDirectory() as folder:
        _compile(protos, Path(folder))
        generated = Path(folder) / "keras_split"
        for path in sorted(generated.rglob("*_pb2.py*")):
            target = output / path.relative_to(generated)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_moved(path.read_text(encoding="utf-8")), encoding="utf-8")


def _compile(protos: Path, output: Path) -> None:
    names = [str(path.relative_to(protos)) for path in sorted(protos.rglob("*.proto"))]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={protos}"]
    subprocess.run([*command, f"--python_out={output}", f"--pyi_out={output}", *names], check=True)


def _moved(source: str) -> str:
    """Modules are named by where they lie in the package, not by where their protos do."""
    return re.sub(r"keras_split\.(v\d+)(?=\.\w+_pb2| import)", r"keras_split._proto.\1", source)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT)
