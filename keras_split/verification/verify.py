"""Trains both ways and compares after every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_split.model import SplitModel
from keras_split.partition import output_names, partition, same_places
from keras_split.verification.digests import Digests, Named, digests_of_server, named, server_slots
from keras_split.verification.in_turns import verify_in_turns
from keras_split.verification.recorder import Recorder, first_difference
from keras_split.verification.report import Report
from keras_split.verification.training import differing, fit_from, seeded


def verify(
    build: Callable[[], keras.Model],
    cut: str | Sequence[str],
    x: Any,
    y: Any,
    *,
    second_cut: str | Sequence[str] | None = None,
    clients: int = 1,
    handover: str = "server",
    epochs: int = 1,
    batch_size: int | None = None,
    seed: int = 0,
    **fit: Any,
) -> Report:
    """Compares split with whole training, bit for bit, after every update.

    Both start from `build()` under the same seed, and see the same batches in the same order. The
    split one uses this machine's private server.

    With several `clients` the rows are dealt out to so many data owners, each with keys and a certificate
    of its own, who train in turns of an epoch on a server process, and hand over what they have. Then the
    whole model sees the same batches in the same order. It starts where the run did: at the server's body,
    and at client weights from the run's secret.

    Args:
        build: Returns the compiled model.
        cut: As in `SplitModel`.
        x: Training data, as in `fit`; arrays if there are several clients.
        y: Labels, as in `fit`.
        second_cut: As in `SplitModel`.
        clients: Data owners. They have neighbouring rows, the first the fewest.
        handover: How several of them hand over: `"server"`, `"peer"`, `"file:///folder"`, or a URL of fsspec.
        epochs: Passes over the data.
        batch_size: Rows in a batch.
        seed: For weights, shuffling and dropout.
        **fit: Further arguments of `fit`, as `validation_split=0.1`.

    Returns:
        The report; print it, or ask `report.equal`.

    Raises:
        ValueError: Data, or a number of clients, that cannot be dealt out.
        SplitError: What a client or a server would say to this model.

    Example:

    >>> print(keras_split.verify(build, "pool2", x, y, epochs=2))
    >>> print(keras_split.verify(build, "pool2", x, y, epochs=2, clients=3))
    """
    arguments = {"x": x, "y": y, "epochs": epochs, "batch_size": batch_size, "verbose": 0, **fit}
    if clients != 1:
        return verify_in_turns(build, (cut, second_cut), arguments, clients, handover, seed)
    return _verify(build, (cut, second_cut), arguments, seed)


def _verify(
    build: Callable[[], keras.Model], cuts: tuple[Any, Any], arguments: dict[str, Any], seed: int
) -> Report:
    whole = seeded(build, seed)
    sides = partition(whole, *cuts).sides
    every = named(sides, whole.optimizer)
    expected = Recorder(every.digests)
    whole_history = fit_from(whole, arguments, seed, expected)

    model = seeded(build, seed)
    split = SplitModel(model, *(_same_cut(each, whole, model) for each in cuts))
    settings = model.get_compile_config()
    split.compile_from_config({**settings, "jit_compile": "auto"})
    own = named({"client": split._halves.own}, split.optimizer)
    slots = server_slots(sides["server"], split.optimizer)
    found = Recorder(lambda: _split_digests(split, own, slots))
    try:
        split_history = fit_from(split, arguments, seed, found)
    finally:
        split.close()
    outputs = dict(zip(split.output_names, output_names(whole), strict=True))
    return Report(
        cut=str(cuts[0]) if cuts[1] is None else f"{cuts[0]} and {cuts[1]}",
        steps=expected.steps,
        variables=len(expected.moments[-1][1]),
        difference=first_difference(expected.moments, found.moments, every.shown),
        history_differences=differing([whole_history], [split_history], outputs),
    )


def _same_cut(cut: Any, whole: keras.Model, model: keras.Model) -> Any:
    """A cut of the one in the other, where layers without a name of their own have got other ones."""
    return None if cut is None else same_places([cut] if isinstance(cut, str) else cut, whole, model)


def _split_digests(split: SplitModel, own: Named, slots: list[str]) -> Digests:
    theirs = split._halves.session().inspect(digests_only=True)
    return own.digests() | digests_of_server(theirs, slots)
