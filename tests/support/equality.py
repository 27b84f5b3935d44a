"""Compares a whole model with its split twin, to the last bit."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_split.partition import Part, named_variables, partition

State = dict[str, np.ndarray]

# What only a split model's History has.
TRAFFIC = {"bytes_sent", "bytes_received"}


def assert_equal_training(whole, split, whole_history: Any, split_history: Any) -> None:
    """Passes if a split model is what the whole one is, after the same training of both.

    Every variable counts: weights, statistics, seed generators, and on each side the optimizer's
    counters, rate, slots, averages and accumulators.
    """
    assert_same_state(whole, split)
    assert_same_result(whole_history, split_history)


def assert_same_state(whole, split) -> None:
    """Passes if every variable of the whole has its equal on one of the sides."""
    parts = split._halves.parts
    client, server = states_of_whole(whole, parts.cut, parts.second_cut)
    assert_same_arrays(client, client_state(split), "client")
    assert_same_arrays(server, server_state(split), "server")


def assert_same_result(whole: Any, split: Any) -> None:
    """Passes if what training, evaluating or predicting returned is equal, a History included."""
    ours, theirs = flatten(whole), flatten(split)
    theirs = {name: each for name, each in theirs.items() if not TRAFFIC & set(name.split("/"))}
    assert_same_arrays(ours, theirs, "result")


def assert_same_arrays(expected: State, found: State, where: str) -> None:
    """Passes if two sets of arrays are of the same names, dtypes, shapes and bits."""
    assert sorted(expected) == sorted(found), f"{where}: other names"
    odd = [_difference(name, expected[name], found[name]) for name in expected]
    odd = [each for each in odd if each]
    assert not odd, f"{where}: {len(odd)} of {len(expected)} differ:\n" + "\n".join(odd[:20])


def states_of_whole(whole, cut, second_cut=None) -> tuple[State, State]:
    """What a whole model's variables are on the client and on the server, if it is cut."""
    sides = partition(whole, cut, second_cut).sides
    client, server = (_variables(sides[side]) for side in ("client", "server"))
    _check_nothing_is_left_out(whole, client, server)
    return _expected(whole, client), _expected(whole, server)


def client_state(split) -> State:
    """All variables of the client's half, by name."""
    named = _variables(split._halves.own)
    state = {name: np.array(each) for name, each in named.items()}
    names = {id(each): name for name, each in named.items()}
    labels = _labels(split.optimizer, split.trainable_variables, names)
    return state | dict(zip(labels, map(np.array, split.optimizer.variables), strict=True))


def server_state(split) -> State:
    """All variables of the server's half, by name."""
    found = split._halves.session().inspect()
    # A body that is rebuilt from its config may order its variables anew, as the server's may have.
    own = split._halves.parts.body
    body = Part.from_config(own.to_config()).model
    paths = {name: each.path for name, each in named_variables(own.model).items()}
    for name, each in named_variables(body).items():
        each._path = paths[name]
    return labelled(found, split.optimizer, body)


def labelled(found: State, optimizer, body) -> State:
    """A server's variables by name, with those of its optimizer under their owners' names.

    Args:
        found: As the server names them.
        optimizer: One like the server's.
        body: A model with the server's variables in the server's order.
    """
    state = {name: each for name, each in found.items() if not name.startswith("optimizer/")}
    slots = [each for name, each in found.items() if name.startswith("optimizer/")]
    names = {id(each): name for name, each in named_variables(body).items()}
    labels = _labels(optimizer, body.trainable_variables, names)
    return state | dict(zip(labels, slots, strict=True))


def flatten(nest: Any, prefix: str = "") -> State:
    """Numbers and arrays of a nest of dicts, sequences and Histories, each under its path."""
    if isinstance(nest, keras.callbacks.History):
        nest = {"epoch": nest.epoch, **nest.history}
    if isinstance(nest, dict):
        pairs = [(str(key), each) for key, each in nest.items()]
    elif isinstance(nest, (list, tuple)):
        pairs = [(str(at), each) for at, each in enumerate(nest)]
    else:
        return {prefix: np.asarray(nest)}
    return {k: v for key, each in pairs for k, v in flatten(each, f"{prefix}/{key}").items()}


def _variables(parts) -> dict[str, Any]:
    return {name: each for part in parts for name, each in named_variables(part.model).items()}


def _check_nothing_is_left_out(whole, *halves: dict[str, Any]) -> None:
    held = {id(each) for half in halves for each in half.values()}
    assert held == {id(each) for each in whole.variables}


def _expected(whole, named: dict[str, Any]) -> State:
    """One side's variables, with the part of the whole model's optimizer that belongs to it."""
    state = {name: np.array(each) for name, each in named.items()}
    names = {id(each): name for name, each in named.items()}
    labels = _labels(whole.optimizer, whole.trainable_variables, names)
    slots = zip(labels, whole.optimizer.variables, strict=True)
    return state | {label: np.array(each) for label, each in slots if label is not None}


def _labels(optimizer, variables: list[Any], names: dict[int, str]) -> list[str | None]:
    """For each of an optimizer's variables whose it is, or None for one of another side.

    Names of slots do not tell it in every case, so a twin is watched while it makes its own.
    """
    twin = type(optimizer).from_config(optimizer.get_config())
    owners: dict[int, tuple[int, str]] = {}
    maker = getattr(twin, "inner_optimizer", twin)
    add = maker.add_variable_from_reference

    def watched(reference_variable, name=None, **kwargs):
        slot = add(reference_variable, name=name, **kwargs)
        owners[id(slot)] = (id(reference_variable), name)
        return slot

    maker.add_variable_from_reference = watched
    twin.build(variables)
    found = [owners.get(id(each)) for each in twin.variables]
    return [_label(owner, found[:at].count(None), names) for at, owner in enumerate(found)]


def _label(owner: tuple[int, str] | None, place: int, names: dict[int, str]) -> str | None:
    if owner is None:
        # The counter, the rate, or the like. Not by name: Keras invents one for Nadam's product.
        return f"optimizer:{place}"
    variable, slot = owner
    return f"optimizer:{names[variable]}:{slot}" if variable in names else None


def _difference(name: str, expected: np.ndarray, found: np.ndarray) -> str:
    expected, found = np.asarray(expected), np.asarray(found)
    if (expected.dtype, expected.shape) != (found.dtype, found.shape):
        return f"{name}: {found.dtype}{found.shape} in place of {expected.dtype}{expected.shape}"
    if expected.tobytes() == found.tobytes():
        return ""
    # As integers, since a NaN or the sign of a zero may be all that differs.
    odd = int(np.sum(_bits(expected) != _bits(found)))
    largest = np.max(np.abs(expected.astype("float64") - found.astype("float64")))
    return f"{name}: {odd} of {expected.size} values differ, by up to {largest:.3g}"


def _bits(array: np.ndarray) -> np.ndarray:
    return np.atleast_1d(array).view(f"u{array.dtype.itemsize}")
