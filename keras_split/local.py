"""A private server process on this machine, so that a newcomer's `fit` works at once.

It speaks TLS like any other, with certificates made for this one process: other users of the machine
can neither read what travels nor place a body of theirs.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from keras_split import certs
from keras_split.errors import ConnectionLost
from keras_split.session import Session, Timeouts
from keras_split.transport import Credentials

_START_SECONDS = 120.0
_MAX_CALLS = 1024
_ADVICE = (
    "It was this program's private server: build the SplitModel anew, with `checkpoint_dir=` if "
    "BackupAndRestore is to find its snapshots."
)


class LocalServer:
    """A server process that ends with this one.

    Args:
        threads: Intra-op threads of TensorFlow there; 0 for its default. Results are bit-identical
            to this process' own only with as many threads as here.
    """

    def __init__(self, threads: int | None = None):
        self._owner = os.getpid()
        self.folder = Path(tempfile.mkdtemp(prefix="keras-split-"))
        atexit.register(self._clear)
        (self.folder / "settings.json").write_text(json.dumps(_settings(threads)))
        self._prepare()
        self.process = self._start()
        atexit.register(self.stop)

    def session(self, timeouts: Timeouts | None = None) -> Session:
        """A new session with this server, which is up when this returns.

        Raises:
            ConnectionLost: The process did not come up; the text has the end of its log.
        """
        credentials = Credentials.from_directory(self.folder / "pki" / "owner")
        return Session(self.address(), credentials, timeouts=timeouts, advice=_ADVICE)

    def stop(self) -> None:
        """Ends the process and removes its files. Safe to call twice."""
        if os.getpid() != self._owner:
            return  # A fork does not own the process.
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._clear()

    def address(self) -> str:
        """`host:port`, once the process accepts calls.

        Raises:
            ConnectionLost: It did not come up; the text has the end of its log.
        """
        file = self.folder / "address"
        give_up = time.monotonic() + _START_SECONDS
        while not file.exists():
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise ConnectionLost(f"The private server did not start. Its log ends: {self._log()}")
            time.sleep(0.02)
        return file.read_text()

    def _prepare(self) -> None:
        """Puts into the folder what the process needs."""
        certs.create(self.folder / "pki", server=["localhost", "127.0.0.1"], clients=["owner"])

    def _clear(self) -> None:
        if os.getpid() == self._owner:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> list[str]:
        return ["-m", "keras_split.server.private", str(self.folder), str(os.getpid())]

    def _start(self) -> subprocess.Popen[bytes]:
        with open(self.folder / "log", "wb") as log:
            return subprocess.Popen(
                [sys.executable, *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # So that it finds the user's modules with their registered layers.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                # A Ctrl-C in the terminal is for the owner, which then stops this process in order.
                start_new_session=True,
            )

    def _log(self) -> str:
        return " | ".join((self.folder / "log").read_text(errors="replace").splitlines()[-5:])


def _settings(threads: int | None) -> dict[str, object]:
    threading_config = tf.config.threading
    own = threading_config.get_intra_op_parallelism_threads()
    return {
        "intra_op_threads": own if threads is None else threads,
        "inter_op_threads": threading_config.get_inter_op_parallelism_threads(),
        "deterministic": is_op_determinism_enabled(),
        "graph_rewriting": tf.config.optimizer.get_experimental_options(),
        "max_calls": _MAX_CALLS,
    }


_shared: dict[str, LocalServer] = {}
_shared_lock = threading.Lock()


def local_server() -> LocalServer:
    """This process' private server, started at the first call and again if it died.

    TensorFlow takes such settings once per process, so there is one server for each that are asked for.
    """
    with _shared_lock:
        server = _shared.get(_current())
        if server is None or server._owner != os.getpid() or server.process.poll() is not None:
            server = _shared[_current()] = LocalServer()
        return server


def _current() -> str:
    return json.dumps(_settings(None), sort_keys=True)
