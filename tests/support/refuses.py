"""A client that is offered every attack, in a process of its own: `python -m support.refuses FILE`.

FILE has one JSON text per line, `[name, offer]`. Printed is one JSON line for each: name, seconds, the most
memory in MB above that before it, reading its JSON included, the class of what was raised, and its text.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_split.model.connect import read_offer
from keras_split.naming import topology_digest
from keras_split.partition import Part

_KIB_PER_MB = 1000 if sys.platform != "darwin" else 1_000_000


class Own(keras.layers.Layer):
    """The one class that this client names."""


@keras.saving.register_keras_serializable("mine", "Other")
class Other(keras.layers.Layer):
    """Registered, and not named to `connect`."""


@keras.saving.register_keras_serializable("mine", "loss")
def loss(target: Any, output: Any) -> Any:
    """Registered; a server that names it would have it run."""
    raise AssertionError((target, output))


def reached(*_: Any, **__: Any) -> None:
    """Stands in for all that would build something."""
    raise AssertionError("Keras has seen it.")


def forget_peak() -> None:
    """Has the kernel begin its high-water mark anew; elsewhere than on Linux it stays, and counts on."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> float:
    """The high-water mark in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_MB


def offer(text: str) -> BaseException | None:
    found = json.loads(text)[1]
    try:
        digest = topology_digest(found["topology"]) if "topology" in found else ""
    except ValueError:
        digest = ""  # Not a number has none, and is refused one step earlier on the way from a server.
    try:
        read_offer(found["topology"], digest, found["settings"], {"mine>Own": Own})
    except Exception as error:
        return error
    return None


def main(path: str) -> None:
    for owner, name in ((keras.saving, "deserialize_keras_object"), (keras.layers.Layer, "__init__")):
        setattr(owner, name, reached)
    tf.saved_model.load = Part.from_config = reached
    with Path(path).open() as lines:
        for line in lines:
            name = line[2 : line.index('", {"topology"')]
            forget_peak()
            before = peak_memory()
            started = time.process_time()
            error = offer(line)
            elapsed = time.process_time() - started
            found = [name, elapsed, peak_memory() - before, type(error).__name__, str(error)]
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
