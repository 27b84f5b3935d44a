"""Clients of a body that a server process serves, and the whole model that both halves must equal."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_split import SplitModel
from keras_split.errors import TrainerBusy
from keras_split.partition import named_variables, partition
from keras_split.session import Timeouts
from keras_split.state import Shelf, Ticket, read, write
from support import bodies
from support.batches import in_batches
from support.equality import assert_same_arrays, client_state, labelled, states_of_whole
from support.gate import until
from support.pairs import trace_once
from support.processes import Server

# Short where a test waits for the end of a peer that will never answer.
QUICK = Timeouts(reconnect_seconds=0.5)


def whole_model(build: Callable[[], keras.Model] = bodies.small) -> keras.Model:
    """The model that `keras-split serve support.bodies:small --seed SEED` has cut in two."""
    keras.utils.set_random_seed(bodies.SEED)
    return build()


@functools.cache
def batches_of(count: int = bodies.BATCHES) -> tf.data.Dataset:
    """The first ones of the data."""
    rows = count * bodies.BATCH
    return in_batches(bodies.BATCH, *(each[:rows] for each in bodies.data()))


def train(model: Any, batches: int = bodies.BATCHES, **options: Any) -> Any:
    """Some batches of the same data in the same order."""
    return model.fit(batches_of(batches), **{"shuffle": False, "verbose": 0, **options})


@functools.cache
def trained_whole(
    steps: int = bodies.BATCHES, build: Callable[[], keras.Model] = bodies.small
) -> keras.Model:
    """What undisturbed training leads to; to be looked at, and not to be trained on."""
    model = whole_model(build)
    trace_once(model)
    epochs, rest = divmod(steps, bodies.BATCHES)
    if epochs:
        train(model, epochs=epochs)
    if rest:
        train(model, rest)
    return model


def connect(
    server: Server,
    address: str = "",
    timeouts: Timeouts = QUICK,
    build: Callable[[], keras.Model] = bodies.small,
    **options: Any,
) -> SplitModel:
    """A client whose half starts where the whole model's does, not at weights of its own.

    Args:
        server: Its certificates are needed even where `address` is a proxy's.
        address: Where to connect to; the server's by default.
        timeouts: Of the client.
        build: Makes the whole model.
        options: Further arguments of `SplitModel.connect`.
    """
    split = SplitModel.connect(address or server.address, server.credentials(), timeouts=timeouts, **options)
    start_as_whole(split, build)
    return split


def start_as_whole(split: SplitModel, build: Callable[[], keras.Model] = bodies.small) -> None:
    """Gives the client's parts the weights that they have in the whole model."""
    parts = partition(whole_model(build), bodies.CUT, second_cut_of(split))
    for own, like in zip(split._halves.own, parts.sides["client"], strict=True):
        write(named_variables(own.model), read(named_variables(like.model)))


def second_cut_of(split: SplitModel) -> list[str] | None:
    """None where labels are shared."""
    return split._halves.topology["second_cut"] or None


def hurry(split: SplitModel, **seconds: float) -> None:
    """Changes deadlines from here on.

    Short ones from the beginning would be too short on a busy machine: first steps take their time.
    """
    session = split._halves.session()
    session._remote.timeouts = dataclasses.replace(session._remote.timeouts, **seconds)


def kept_state(
    split: SplitModel, server: Server, build: Callable[[], keras.Model] = bodies.small
) -> dict[str, np.ndarray]:
    """All that the server has, from a snapshot that it is asked for."""
    version, nonce = map(int, split.get_weights()[-1])
    found = Shelf(server.checkpoints).get(Ticket(version, nonce))
    assert found is not None
    return label_slots(found[0], second_cut_of(split), build)


def label_slots(
    bundle: dict[str, np.ndarray],
    second_cut: list[str] | None = None,
    build: Callable[[], keras.Model] = bodies.small,
) -> dict[str, np.ndarray]:
    """A snapshot of the body, with the optimizer's variables under their owners' names."""
    model = whole_model(build)
    return labelled(bundle, model.optimizer, partition(model, bodies.CUT, second_cut).body.model)


def assert_equal_halves(
    whole: keras.Model,
    split: SplitModel,
    server: Server,
    build: Callable[[], keras.Model] = bodies.small,
) -> None:
    """Passes if both halves are, to the last bit of every variable, what the whole model is."""
    client, body = states_of_whole(whole, bodies.CUT, second_cut_of(split))
    assert_same_arrays(client, client_state(split), "client")
    assert_same_arrays(body, kept_state(split, server, build), "server")


class Start:
    """The beginning, to which every test takes a shared server back.

    Args:
        server: Which nobody has trained yet.
        path: For the client's half.
    """

    def __init__(self, server: Server, path: Path):
        self.path = path
        split = connect(server)
        # Without its variables in the file, an optimizer that has some would keep them.
        split.optimizer.build(split.trainable_variables)
        split.save_weights(path)
        split.close()

    def load(self, split: SplitModel) -> SplitModel:
        """Takes both halves there, as soon as nobody else holds the turn."""
        until(lambda: _loads(split, self.path))
        return split


def _loads(split: SplitModel, path: Path) -> bool:
    try:
        split.load_weights(path)
    except TrainerBusy:
        return False  # The server has not seen yet that the one before has gone.
    return True


class AtBatch(keras.callbacks.Callback):
    """Does something right before a batch, counted over all epochs."""

    def __init__(self, batch: int, action: Callable[[], object]):
        super().__init__()
        self._left = batch
        self._action = action

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._left == 0:
            self.see()
            self._action()
        self._left -= 1

    def see(self) -> None:
        """For those who want to remember something first."""


class Witness(AtBatch):
    """Remembers the client's half as it was right before a batch."""

    def see(self) -> None:
        self._before = client_state(self.model)

    def assert_unchanged(self, split: SplitModel) -> None:
        """Passes if every variable of the half and of its optimizer is what it was."""
        assert_same_arrays(self._before, client_state(split), "client")
