"""The private server's files belong to the process that started it."""

from __future__ import annotations

import os
import shutil
from functools import partial

import pytest

from keras_split import local
from keras_split.local import LocalServer


def test_a_fork_that_ends_takes_nothing_away_from_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    at_exit: list = []
    monkeypatch.setattr(
        local.atexit, "register", lambda *given, **named: at_exit.append(partial(*given, **named))
    )
    monkeypatch.setattr(LocalServer, "_start", lambda self: None)
    server = LocalServer()
    try:
        with monkeypatch.context() as fork:
            fork.setattr(os, "getpid", lambda: -1)
            for each in reversed(at_exit):
                each()
        assert (server.folder / "pki" / "owner" / "tls.key").is_file()
    finally:
        shutil.rmtree(server.folder)
