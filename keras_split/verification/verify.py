"""Trains both ways and compares after every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_split.model import SplitModel
from keras_split.partition import Part, partition
from keras_split.verification.digests import Digests, digests_of, slot_names
from keras_split.verification.report import Difference, Report

_ONLY_SPLIT = ("bytes_sent", "bytes_received")


def verify(
    build: Callable[[], keras.Model],
    cut: str | Sequence[str],
    x: Any,
    y: Any,
    *,
    second_cut: str | Sequence[str] | None = None,
    epochs: int = 1,
    batch_size: int | None = None,
    seed: int = 0,
    **fit: Any,
) -> Report:
    """Compares split with whole training, bit for bit, after every update.

    Both start from `build()` under the same seed, and see the same batches in the same order. The
    split one uses this machine's private server.

    Args:
        build: Returns the compiled model.
        cut: As in `SplitModel`.
        x: Training data, as in `fit`.
        y: Labels, as in `fit`.
        second_cut: As in `SplitModel`.
        epochs: Passes over the data.
        batch_size: Rows in a batch.
        seed: For weights, shuffling and dropout.
        **fit: Further arguments of `fit`, as `validation_split=0.1`.

    Returns:
        The report; print it, or ask `report.equal`.

    Example:

    >>> print(keras_split.verify(build, "pool2", x, y, epochs=2))
    """
    arguments = {"x": x, "y": y, "epochs": epochs, "batch_size": batch_size, "verbose": 0, **fit}
    whole = _seeded(build, seed)
    parts = partition(whole, cut, second_cut)
    sides = parts.sides
    expected = _Recorder(lambda: digests_of(sides, whole.optimizer))
    whole_history = _fit(whole, arguments, seed, expected)

    model = _seeded(build, seed)
    split = SplitModel(model, cut, second_cut)
    settings = model.get_compile_config()
    split.compile_from_config({**settings, "jit_compile": "auto"})
    slots = _server_slots(split, parts.sides["server"])
    found = _Recorder(lambda: _split_digests(split, slots))
    try:
        split_history = _fit(split, arguments, seed, found)
    finally:
        split.close()
    return Report(
        cut=str(cut) if second_cut is None else f"{cut} and {second_cut}",
        steps=len(expected.states) - 1,
        variables=len(expected.states[-1]),
        difference=_first_difference(expected.states, found.states),
        history_differences=_differing(whole_history, split_history),
    )


class _Recorder(keras.callbacks.Callback):
    """Takes digests before the first and after every step (or execution of several)."""

    def __init__(self, digests: Callable[[], Digests]):
        super().__init__()
        self.states: list[Digests] = []
        self._digests = digests

    def on_train_begin(self, logs: Any = None) -> None:
        self.states.append(self._digests())

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.states.append(self._digests())


def _seeded(build: Callable[[], keras.Model], seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = build()
    if not model.compiled:
        raise ValueError("`build` must return a compiled model, since both sides train it.")
    model.optimizer.build(model.trainable_variables)
    return model


def _fit(model: keras.Model, arguments: dict[str, Any], seed: int, recorder: _Recorder) -> Any:
    keras.utils.set_random_seed(seed)
    callbacks = [*keras.tree.flatten(arguments.get("callbacks") or []), recorder]
    return model.fit(**{**arguments, "callbacks": callbacks}).history


def _split_digests(split: SplitModel, slots: list[str]) -> Digests:
    halves = split._halves
    found = digests_of({"client": halves.own}, split.optimizer)
    remote = halves.session().inspect(digests_only=True)
    own = [name for name in remote if name.startswith("optimizer/")]
    found.update({("server", name): remote[name] for name in remote if name not in own})
    named = zip(slots, own, strict=True)
    found.update({("server", slot): remote[name] for slot, name in named})
    return found


def _server_slots(split: SplitModel, body: Sequence[Part]) -> list[str]:
    """Names of the server's optimizer variables, from an optimizer like the server's."""
    like = type(split.optimizer).from_config(split.optimizer.get_config())
    like.build([each for part in body for each in part.model.trainable_variables])
    return slot_names(body, like)


def _first_difference(expected: list[Digests], found: list[Digests]) -> Difference | None:
    for step, (wanted, got) in enumerate(zip(expected, found, strict=True)):
        for key in wanted:
            if got.get(key) != wanted[key]:
                return Difference(variable=key[1], side=key[0], step=step)
    return None


def _differing(whole: dict[str, Any], split: dict[str, Any]) -> tuple[str, ...]:
    names = [name for name in {**whole, **split} if name not in _ONLY_SPLIT]
    return tuple(name for name in names if whole.get(name) != split.get(name))
