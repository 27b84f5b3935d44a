"""The nursery's own processes: `python -m support.forking LISTENER OWNER`, both descriptors of sockets.

For each line it forks one that serves the line, and that forks a process for each order. None has a thread
besides its own, since a fork has none of the others. When the other end of a line closes, all that was
started for it ends; when the owner's end closes, no more lines are taken.
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

from support import private_servers
from support.nursery import MOST_BYTES

# What the programs import, and none of the programs themselves.
_MODULES = (
    "keras_split.cli",
    "keras_split.server.run",
    "support.bodies",
    "support.halves",
    "support.run",
)
_POLL_SECONDS = 0.02
_STANDARD_FILES = 3


def take_lines(listener: socket.socket, owner: socket.socket) -> socket.socket | None:
    """Returns in a fork for each line, with the line; in the end with None."""
    # Nobody asks how these ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready = select.select([listener, owner], [], [])[0]
        if owner in ready:
            return None
        line, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return line
        line.close()


def serve(line: socket.socket) -> dict[str, Any] | None:
    """Returns in each fork, with the order that is to be followed there; in the end with None."""
    children: dict[int, bool] = {}
    while True:
        _tell_of_the_dead(line, children)
        if not select.select([line], [], [], _POLL_SECONDS)[0]:
            continue
        said, files, _, _ = socket.recv_fds(line, MOST_BYTES, _STANDARD_FILES)
        if not said:
            break
        order = json.loads(said)
        if (pid := os.fork()) == 0:
            return {"files": files, **order}
        for each in files:
            os.close(each)
        children[pid] = order["stays"]
        _say(line, born=pid)
    for pid, stays in children.items():
        if not stays:
            os.kill(pid, signal.SIGKILL)
    return None


def follow(order: dict[str, Any]) -> None:
    """Becomes what a new `python` with these arguments would be."""
    for source, target in zip(order["files"], range(_STANDARD_FILES), strict=True):
        os.dup2(source, target)
        os.close(source)
    os.environ.clear()
    os.environ.update(order["variables"])
    sys.path += [each for each in os.environ["PYTHONPATH"].split(os.pathsep) if each not in sys.path]
    tempfile.tempdir = None
    np.random.seed()
    os.chdir(order["folder"])
    _have_as_parent(order["owner"])
    private_servers.fork_them()
    what, *sys.argv = order["arguments"]
    if what == "-m":
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv.insert(0, what)
        sys.path.insert(0, os.path.dirname(what))
        runpy.run_path(what, run_name="__main__")


def _have_as_parent(owner: int) -> None:
    """Who gave the order, for as long as the real parent lives, which ends when the line does."""
    parent = os.getppid
    serving = parent()
    os.getppid = lambda: owner if parent() == serving else parent()


def _tell_of_the_dead(line: socket.socket, children: dict[int, bool]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        del children[pid]
        _say(line, ended=pid, code=os.waitstatus_to_exitcode(status))


def _say(line: socket.socket, **what: int) -> None:
    line.send(json.dumps(what).encode())


def main() -> None:
    for name in _MODULES:
        importlib.import_module(name)
    listener, owner = (socket.socket(fileno=int(each)) for each in sys.argv[1:])
    with owner, listener:
        line = take_lines(listener, owner)
    order = None
    if line is not None:
        with line:
            order = serve(line)
    if order is None:
        # To take TensorFlow down in order takes a second, and it was never used here.
        os._exit(0)
    follow(order)


if __name__ == "__main__":
    main()
