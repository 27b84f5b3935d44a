"""A data owner of the demonstration: `python -m keras_split.demo.several.member SETTINGS`.

SETTINGS is a JSON object with the arguments of `main`. The process has nothing but what a data owner on a
machine of its own would have. It says `ready`, waits for `go`, trains in turns, and says `done`; after `stop`
it ends, since another may still fetch its last state. Each line that it prints is a JSON object with `event`
and `at`, seconds of a clock that all processes of the machine share.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from keras_split.demo.several.parent import Parent


def main(
    *, name: str, folder: str, address: str, certificates: str, roster: str, handover: str, **fit: Any
) -> None:
    """Trains this data owner's rows.

    Args:
        name: Who it is.
        folder: Its own: `identity.key`, `rows.npz` and `test.npz`.
        address: Of the server.
        certificates: Folder with its certificate.
        roster: The signed file.
        handover: Which way.
        fit: `epochs` and `batch_size`.
    """
    # It may be in the midst of a step, and nothing of it is wanted any more.
    parent = Parent(gone=lambda: os._exit(1))
    import keras
    import numpy as np

    from keras_split import Credentials, Places, SplitModel
    from keras_split.demo.several.watching import Watching

    own = Path(folder)
    # What `connect` shows goes to the log: the lines of this process are the parent's.
    keras.config.disable_interactive_logging()
    split = SplitModel.connect(
        address,
        Credentials.from_directory(certificates),
        identity=own / "identity.key",
        roster=roster,
        handover=Places(handover, own / "run"),
    )
    with np.load(own / "rows.npz") as rows, np.load(own / "test.npz") as test:
        x, y = rows["x"], rows["y"]
        watching = Watching(say, own, {"x": test["x"], "y": test["y"]}, fit["batch_size"])
    say("ready", rows=len(x))
    parent.wait_for("go")
    history = split.fit(x, y, shuffle=False, verbose=0, callbacks=[watching], **fit).history
    say("done", sent=sum(history["bytes_sent"]), received=sum(history["bytes_received"]))
    parent.wait_for("stop")
    split.close()


def say(event: str, **facts: Any) -> None:
    """Tells the parent."""
    print(json.dumps({"event": event, "at": time.monotonic(), **facts}), flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
