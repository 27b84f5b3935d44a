"""The process behind `SplitModel(model, cut)`: `python -m keras_split.server.private FOLDER PID`.

FOLDER holds this server's certificates in `pki/server`, gets a file `address` once calls are accepted,
and has the owner's TensorFlow settings in `settings.json`. PID is the owner: when it is gone, so are
this process and the folder.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from functools import partial
from pathlib import Path

import tensorflow as tf

from keras_split.server.options import ServingOptions
from keras_split.server.process import ServerOptions, serve_owner
from keras_split.transport import Credentials


def main(folder: Path, parent: int) -> None:
    """Runs until the owner ends."""
    serve_owner(options_in(folder), parent, ready=partial(publish, folder))
    # An owner that was killed has left its keys here.
    shutil.rmtree(folder, ignore_errors=True)


def options_in(folder: Path) -> ServerOptions:
    """Takes over the owner's settings of TensorFlow and of the process, and logs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = json.loads((folder / "settings.json").read_text())
    tf.config.threading.set_intra_op_parallelism_threads(settings["intra_op_threads"])
    tf.config.threading.set_inter_op_parallelism_threads(settings["inter_op_threads"])
    tf.config.optimizer.set_experimental_options(settings["graph_rewriting"])
    return ServerOptions(
        credentials=Credentials.from_directory(folder / "pki" / "server"),
        max_calls=settings["max_calls"],
        deterministic=settings["deterministic"],
        # One client has nobody to be combined with, and gets the whole model's bits.
        # Nor does anybody wait while it computes its last layers.
        serving=ServingOptions(combine_below=0, gradient_seconds=600.0),
    )


def publish(folder: Path, address: str) -> None:
    """The owner polls for this file, and must never read half of it."""
    path = folder / "address"
    temporary = path.with_suffix(".writing")
    temporary.write_text(address)
    os.replace(temporary, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
