"""Processes that are there in milliseconds: `python -m soak.nursery` forks those that it is asked for.

It has loaded TensorFlow and not used it, so that a fork of it is a process that has just loaded
TensorFlow. Without it a restart takes seconds of which nothing is learned.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
from typing import Any

_POLL_SECONDS = 0.02


def main() -> None:
    """Reads `{"role", "given", "log"}` a line, says `{"pid"}`, and `{"ended", "code"}` later."""
    for name in ("soak.roles", "support.member", "keras_split.server", "keras_split.cli"):
        importlib.import_module(name)
    _say({"ready": True})
    children: set[int] = set()
    orders = os.fdopen(os.dup(0), "rb", buffering=0)
    while True:
        if select.select([orders], [], [], _POLL_SECONDS)[0]:
            line = orders.readline()
            if not line:
                break
            children.add(_born(json.loads(line)))
        _bury(children)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _born(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _live(order)
    _say({"pid": pid})
    return pid


def _live(order: dict[str, Any]) -> None:
    """The child: its output goes to its log, and it never comes back."""
    code = 1
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        from soak import roles

        getattr(roles, order["role"])(**order["given"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _bury(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        children.discard(pid)
        _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
