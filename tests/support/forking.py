"""The nursery's own process: `python -m support.forking DESCRIPTOR` forks a process for each order.

It has no thread besides this one, since a fork has none of the others. When the tests' end of the line
closes, all that it has started ends.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
from typing import Any

import numpy as np

from support.nursery import MOST_BYTES

# What the programs import, and none of the programs themselves.
_MODULES = ("keras_split.cli", "keras_split.server.run", "support.bodies", "support.halves", "support.run")
_POLL_SECONDS = 0.02
_STANDARD_FILES = 3


def serve(line: socket.socket) -> dict[str, Any] | None:
    """Returns in each fork, with the order that is to be followed there; in the end with None."""
    children: set[int] = set()
    while True:
        _tell_of_the_dead(line, children)
        if not select.select([line], [], [], _POLL_SECONDS)[0]:
            continue
        said, files, _, _ = socket.recv_fds(line, MOST_BYTES, _STANDARD_FILES)
        if not said:
            break
        if (pid := os.fork()) == 0:
            return {"files": files, **json.loads(said)}
        for each in files:
            os.close(each)
        children.add(pid)
        _say(line, born=pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    return None


def follow(order: dict[str, Any]) -> None:
    """Becomes what a new `python` with these arguments would be."""
    for source, target in zip(order["files"], range(_STANDARD_FILES), strict=True):
        os.dup2(source, target)
        os.close(source)
    os.environ.clear()
    os.environ.update(order["variables"])
    tempfile.tempdir = None
    np.random.seed()
    os.chdir(order["folder"])
    what, *sys.argv = order["arguments"]
    if what == "-m":
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv.insert(0, what)
        sys.path.insert(0, os.path.dirname(what))
        runpy.run_path(what, run_name="__main__")


def _tell_of_the_dead(line: socket.socket, children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        children.remove(pid)
        _say(line, ended=pid, code=os.waitstatus_to_exitcode(status))


def _say(line: socket.socket, **what: int) -> None:
    line.send(json.dumps(what).encode())


def main() -> None:
    for name in _MODULES:
        importlib.import_module(name)
    with socket.socket(fileno=int(sys.argv[1])) as line:
        order = serve(line)
    if order is not None:
        follow(order)


if __name__ == "__main__":
    main()
