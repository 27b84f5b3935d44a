"""Imports point to lower floors only, and rooms of one floor do not know each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "keras_split"

FLOORS = [
    {"durable"},
    {"_proto", "columns", "errors", "digest", "keyfiles", "roles", "run_names", "version"},
    {"naming"},
    {"audit", "codec", "crypto", "partition", "segment", "state", "topology", "turns"},
    {"certs", "numerics", "peer", "transport"},
    {"store"},
    {"exchange", "session", "server"},
    {"local", "owners"},
    {"callbacks", "datasets", "exactness", "planning", "zoo"},
    {"model"},
    {"tuning", "verification"},
    {"__init__"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    rooms = {module.split(".")[1] for module in modules if module.startswith("keras_split.")}
    whole = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    for node in whole:
        if node.module == "keras_split":
            names = {name.name for name in node.names}
            rooms |= {name if name in FLOOR_OF else "__init__" for name in names}
    return rooms | ({"__init__"} if "keras_split" in modules and not whole else set())


FILES = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_to_lower_floors(path: Path) -> None:
    room = _room(path)
    above = {other for other in _imports(path) if other != room and FLOOR_OF[other] >= FLOOR_OF[room]}
    assert not above, f"{room} is on floor {FLOOR_OF[room]} and imports {above}"


def test_every_room_has_a_floor() -> None:
    rooms = {_room(path) for path in PACKAGE.rglob("*.py")}
    assert rooms == set(FLOOR_OF)
