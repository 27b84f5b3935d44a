"""Servers of many runs in one process, since each process takes seconds to import TensorFlow.

`python -m support.many_runs` reads a line of JSON for each server, and answers `Listening on HOST:PORT`.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

from keras_split import Credentials
from keras_split.crypto import read_rosters
from keras_split.server import RunOptions, ServerOptions, ServingOptions, serve_model
from keras_split.turns import Quota


def serve(
    *,
    source: str,
    cut: list[str],
    second_cut: list[str],
    certificates: str,
    folder: str,
    roster: str,
    seed: int,
    quota: str,
    commit_every: int,
    order: str,
) -> None:
    """Until the process ends."""
    text = Path(roster).read_text()
    run = RunOptions(text, read_rosters(text), order, Quota.parse(quota), commit_every)
    options = ServerOptions(
        credentials=Credentials.from_directory(certificates),
        checkpoint_directory=Path(folder),
        serving=ServingOptions(combine_below=0),
        seed=seed,
        run=run,
    )
    serve_model(source, cut, second_cut, options, lambda address: print("Listening on", address, flush=True))


if __name__ == "__main__":
    # Only the main thread may wait for signals, and this process is killed in any case.
    signal.signal = lambda *_: None
    for line in sys.stdin:
        threading.Thread(target=serve, kwargs=json.loads(line), daemon=True).start()
