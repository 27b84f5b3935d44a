"""Calls of layers as the config writes them, with arguments bound to names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from keras_split.topology.checks import (
    MAX_RANK,
    Check,
    Refusal,
    boolean,
    choice,
    integer,
    list_of,
    null,
    number,
    optional,
    printable_name,
    refused,
)
from keras_split.topology.indexing import read_index
from keras_split.topology.objects import TENSOR_DTYPES
from keras_split.topology.rules import Kind, Signature

_FINITE = number(-3.4e38, 3.4e38)
_TENSOR_CHECKS: dict[str, Check] = {
    "shape": list_of(optional(integer(1)), 0, MAX_RANK),
    "dtype": choice(*TENSOR_DTYPES),
}
_SMALL = integer(0, 4096)
NEEDED = {Kind.TENSOR, Kind.TENSORS, Kind.STRUCTURE, Kind.OPERAND, Kind.INDEX}


@dataclass(frozen=True)
class Reference:
    """One output tensor of one call of a layer.

    Args:
        layer: Name inside the same model.
        node: Which call of it, from 0.
        tensor: Which of its outputs, flattened.
        shape: Shape that the config declares; Keras replaces it by the true one.
        dtype: Likewise.
    """

    layer: str
    node: int
    tensor: int
    shape: tuple[int | None, ...] = ()
    dtype: str = "float32"

    def to_json(self) -> dict[str, Any]:
        """The form in which Keras writes it."""
        history = [self.layer, self.node, self.tensor]
        config = {"shape": list(self.shape), "dtype": self.dtype, "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Args:
        arguments: Name to a structure of references, flags, numbers and null.
        args: The positional arguments, normalised, as JSON.
        kwargs: The others.
    """

    arguments: dict[str, Any]
    args: list[Any]
    kwargs: dict[str, Any]

    def references(self) -> Iterator[Reference]:
        """All tensors that it reads."""
        return leaves(self.arguments, Reference)

    def to_json(self) -> dict[str, Any]:
        """The form in which Keras writes it."""
        return {"args": self.args, "kwargs": self.kwargs}


def leaves(structure: Any, kind: type) -> Iterator[Any]:
    """All objects of one type in nested lists and dicts; dicts in Keras' order, by key."""
    if isinstance(structure, kind):
        yield structure
    elif isinstance(structure, (list, tuple)):
        for each in structure:
            yield from leaves(each, kind)
    elif isinstance(structure, dict):
        for key in sorted(structure):
            yield from leaves(structure[key], kind)


def mapped(structure: Any, change: Callable[[Any], Any]) -> Any:
    """The structure with each leaf that is no list and no dict replaced."""
    if isinstance(structure, (list, tuple)):
        return [mapped(each, change) for each in structure]
    if isinstance(structure, dict):
        return {key: mapped(each, change) for key, each in structure.items()}
    return change(structure)


def read_call(value: Any, signature: Signature) -> Call:
    """Binds one entry of `inbound_nodes` to the arguments that the layer's rule names.

    Raises:
        Refusal: It holds an argument that the rule does not have, or that is not of its kind.
    """
    if type(value) is not dict or value.keys() != {"args", "kwargs"}:
        raise refused(value, "a call with 'args' and 'kwargs'")
    args, kwargs = value["args"], value["kwargs"]
    if type(args) is not list or type(kwargs) is not dict or len(args) > len(signature):
        raise refused(value, f"at most {len(signature)} arguments")
    kinds = dict(signature)
    positional = {
        name: _read_argument(kind, each, name) for (name, kind), each in zip(signature, args, strict=False)
    }
    for name in kwargs:
        if name not in kinds or name in positional:
            raise Refusal(f"unknown. Allowed arguments: {', '.join(kinds)}", f"call.{ascii(name)}")
    named = {name: _read_argument(kinds[name], each, name) for name, each in kwargs.items()}
    return _complete(positional, named, signature)


def _complete(positional: dict[str, Any], named: dict[str, Any], signature: Signature) -> Call:
    arguments = {**positional, **named}
    for name, kind in signature:
        if kind in NEEDED and name not in arguments:
            raise Refusal(f"missing. Expected: {kind.value}", f"call.{name}")
    if next(leaves(arguments, Reference), None) is None:
        raise Refusal("a call without any tensor. Allowed: calls on tensors of the same model")
    return Call(arguments, _to_json(list(positional.values())), _to_json(named))


def _to_json(structure: Any) -> Any:
    return mapped(structure, lambda leaf: leaf.to_json() if isinstance(leaf, Reference) else leaf)


def _read_argument(kind: Kind, value: Any, name: str) -> Any:
    try:
        return _READERS[kind](value)
    except Refusal as refusal:
        raise refusal.under(f"call.{name}") from None


def _is_tensor(value: Any) -> bool:
    return (
        type(value) is dict
        and value.keys() == {"class_name", "config"}
        and value["class_name"] == "__keras_tensor__"
    )


def _tensor(value: Any) -> Reference:
    allowed = "a tensor of the same model, with its history"
    config = value["config"] if _is_tensor(value) else None
    if type(config) is not dict or config.keys() != {"shape", "dtype", "keras_history"}:
        raise refused(value, allowed)
    history = config["keras_history"]
    if type(history) is not list or len(history) != 3:
        raise refused(history, allowed)
    return Reference(
        printable_name(history[0]),
        _SMALL(history[1]),
        _SMALL(history[2]),
        tuple(_TENSOR_CHECKS["shape"](config["shape"])),
        _TENSOR_CHECKS["dtype"](config["dtype"]),
    )


def _structure(value: Any) -> Any:
    if _is_tensor(value):
        return _tensor(value)
    if type(value) is list and value:
        return [_structure(each) for each in value]
    if type(value) is dict and value and not value.keys() & {"class_name", "config"}:
        return {printable_name(key): _structure(each) for key, each in value.items()}
    return _tensor(value)


def _mask(value: Any) -> Any:
    if type(value) is list and value:
        return [_mask(each) for each in value]
    if type(value) is dict and value and not value.keys() & {"class_name", "config"}:
        return {printable_name(key): _mask(each) for key, each in value.items()}
    return optional(_tensor)(value)


def _operand(value: Any) -> Any:
    if type(value) is dict:
        return _tensor(value)
    return value if type(value) is bool else _FINITE(value)


def _state(value: Any) -> Any:
    if type(value) is list:
        return list_of(_tensor, 1, 16)(value)
    return optional(_tensor)(value)


_READERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TENSOR: _tensor,
    Kind.OPTIONAL: optional(_tensor),
    Kind.TENSORS: list_of(_tensor, 1, 1024),
    Kind.STRUCTURE: _structure,
    Kind.STATE: _state,
    Kind.MASK: _mask,
    Kind.FLAG: optional(boolean),
    Kind.OPERAND: _operand,
    Kind.INDEX: read_index,
    Kind.NOTHING: null,
}
