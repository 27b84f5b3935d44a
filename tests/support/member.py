"""A data owner in a process of its own: `python -m support.member JSON`."""

from __future__ import annotations

import json
import sys

import keras_split
from keras_split.session import Timeouts
from support import bodies


def main(
    *,
    address: str,
    certificates: str,
    identity: str,
    roster: str,
    rows: tuple[int, int],
    epochs: int = 2,
    handover: object = "server",
    places: dict[str, str] | None = None,
    reconnect_seconds: float = 30.0,
    batch_size: int = bodies.BATCH,
    audit_log: str | None = None,
    **fit: object,
) -> None:
    """Trains its rows, and says `Done` and its History."""
    split = keras_split.SplitModel.connect(
        address,
        keras_split.Credentials.from_directory(certificates) if certificates else None,
        insecure=not certificates,
        identity=identity,
        roster=roster,
        handover=keras_split.Places(**places) if places else handover,
        audit_log=audit_log,
        timeouts=Timeouts(reconnect_seconds=reconnect_seconds),
    )
    x, y = bodies.data()
    shard = slice(*rows)
    print("Ready", flush=True)
    history = split.fit(
        x[shard], y[shard], epochs=epochs, batch_size=batch_size, shuffle=False, verbose=0, **fit
    )
    told = {name: list(map(float, each)) for name, each in history.history.items()}
    print("Done", json.dumps(told), flush=True)
    split.close()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
