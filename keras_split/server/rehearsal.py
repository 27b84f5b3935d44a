"""The server of a run that is only tried out: `python -m keras_split.server.rehearsal FOLDER PID`.

FOLDER has what a private server's has, and besides the model (`model.keras`), the members
(`roster.json`), and in `rehearsal.json` how the model is cut and what it needs to be loaded. PID is the
owner, with which this process ends.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from keras_split.crypto import read_rosters
from keras_split.numerics import Numerics
from keras_split.server.private import options_in, publish
from keras_split.server.process import end_of, serve_model
from keras_split.server.run_options import RunOptions


def main(folder: Path, parent: int) -> None:
    """Runs until the owner ends."""
    options = options_in(folder)
    given = json.loads((folder / "rehearsal.json").read_text())
    for module in given["modules"]:
        # Which registers layers and functions of the user's own.
        importlib.import_module(module)
    Numerics(**given["numerics"]).set()
    roster = (folder / "roster.json").read_text()
    run = RunOptions(roster, read_rosters(roster))
    serve_model(
        str(folder / "model.keras"),
        given["cut"],
        given["second_cut"],
        replace(options, checkpoint_directory=folder / "server", run=run),
        partial(publish, folder),
        end_of(parent),
    )
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
