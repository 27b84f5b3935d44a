"""What stands around the client's parts in a server's topology: names, frontiers and ranks."""

from __future__ import annotations

from typing import Any

from keras_split.errors import TopologyError
from keras_split.topology.checks import (
    MAX_RANK,
    Check,
    Options,
    Refusal,
    boolean,
    choice,
    integer,
    list_of,
    optional,
    printable_name,
    read_options,
    refused,
)
from keras_split.topology.objects import TENSOR_DTYPES

_MAX_TENSORS = 256
_MAX_RANKS = 1 << 16


def read_document(topology: Any) -> Options:
    """A topology whose parts are still to be validated, and all else of which is plain and consistent.

    Raises:
        TopologyError: Something is missing, unknown or out of its range.
    """
    try:
        found = read_options(_TABLE, topology, frozenset(_TABLE))
        _check_tail(found)
        for name in ("frontier", "second_frontier"):
            _check_masks(found[name], name)
    except Refusal as refusal:
        raise TopologyError(f"The server's topology: {refusal}.") from None
    return found


def _check_tail(found: Options) -> None:
    has_tail = found["tail"] is not None
    if has_tail != bool(found["second_cut"]) or has_tail != bool(found["second_frontier"]):
        raise Refusal("given without the other two, or they without it", "tail, second_cut, second_frontier")
    if not 0 <= found["kept"] <= len(found["second_frontier"]):
        raise refused(found["kept"], "as many as the second frontier has").under("kept")


def _check_masks(frontier: list[Options], name: str) -> None:
    for each in frontier:
        if each["mask"] is not None and each["mask"] >= len(frontier):
            raise refused(each["mask"], "the place of another tensor").under(f"{name}.mask")


def _fixed(checks: dict[str, Check]) -> Check:
    return lambda value: read_options(checks, value, frozenset(checks))


def _layer_path(value: Any) -> str:
    fine = type(value) is str and 0 < len(value) <= 1024 and value.isprintable()
    if not fine:
        raise refused(value, "1 to 1024 printable characters")
    return value


def _ranks(value: Any) -> dict[str, int]:
    if type(value) is not dict or len(value) > _MAX_RANKS:
        raise refused(value, f"a dict of at most {_MAX_RANKS} ranks")
    rank = integer(0)
    return {_layer_path(name): rank(value[name]) for name in value}


def _no_alphas(value: Any) -> dict[str, float]:
    # Of layers with LoRA, none of which is accepted.
    if value != {}:
        raise refused(value, "none: a server's layers have no LoRA")
    return {}


def _dict(value: Any) -> Options:
    if type(value) is not dict:
        raise refused(value, "a serialised model")
    return value


_CALL = list_of(integer(0, _MAX_RANKS), 2, 2)
_PART = _fixed(
    {
        "model": _dict,
        "calls": list_of(_CALL, 0, _MAX_RANKS),
        "layer_ranks": _ranks,
        "weight_ranks": _ranks,
        "frozen": list_of(_layer_path, 0, _MAX_RANKS),
        "lora_alphas": _no_alphas,
    }
)
_TENSOR = _fixed(
    {
        "shape": list_of(optional(integer(1)), 1, MAX_RANK),
        "dtype": choice(*TENSOR_DTYPES),
        "mask": optional(integer(0, _MAX_TENSORS)),
        "is_output": boolean,
    }
)
_TABLE: dict[str, Check] = {
    "name": printable_name,
    "cut": list_of(_layer_path, 1, _MAX_TENSORS),
    "second_cut": list_of(_layer_path, 0, _MAX_TENSORS),
    "head": _PART,
    "tail": optional(_PART),
    "frontier": list_of(_TENSOR, 1, _MAX_TENSORS),
    "second_frontier": list_of(_TENSOR, 0, _MAX_TENSORS),
    "kept": integer(0, _MAX_TENSORS),
    "output_names": list_of(printable_name, 1, _MAX_TENSORS),
}
