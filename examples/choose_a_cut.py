"""Find out where to cut a model before anything is trained.

A cut decides how much a step computes on each side and how much it sends. For a line and two machines
that you describe, this prints the predicted step of every legal cut, draws it, and names the fastest one
among those that leave the client a limited part of the work.

Run it with `python examples/choose_a_cut.py`. It starts no server and needs no data.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import keras_split

# What the data owner's machine may be asked to do, in operations per step.
MOST_CLIENT_FLOPS = 20e9


def main(quick: bool = False) -> None:
    """Plans a small VGG for an office line and for a line inside one building."""
    model = keras_split.zoo.vgg(seed=1)
    # The loss says which labels travel.
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    machines = {"client_gflops": 100, "server_gflops": 5000}

    office = keras_split.plan(model, bandwidth_mbps=100, rtt_ms=20, **machines)
    building = keras_split.plan(model, bandwidth_mbps=10_000, rtt_ms=0.2, **machines)
    for each in (office, building):
        print(f"{each}\n")

    fitting = [cut for cut in office.cuts if cut.client_flops < MOST_CLIENT_FLOPS]
    print(f"Fastest over the office line: {office.best.name}, in the building: {building.best.name}")
    print(f"Fastest over the office line with a client of little power: {fitting[0].name}")

    # With `--quick`, as the tests run it, nothing stays behind.
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder if quick else ".") / "plan.png"
        office.draw(picture)
        print(f"Drawn: {picture.name}, {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
