"""Indexing of tensors as in `x[:, 0, None, ...]`: what is accepted, and the shape that is left."""

from __future__ import annotations

from typing import Any

from keras_split.topology.checks import MAX_RANK, Refusal, either, integer, null, optional, refused
from keras_split.topology.shapes import ONE, Dim, Shape, text

_ALLOWED = "an index, or a list of indices, slices, null and at most one ellipsis"
_bound = optional(integer(-(1 << 24)))
_place = either(null, integer(-(1 << 24)))


def read_index(value: Any) -> Any:
    """Checks the serialised key of a `GetItem`.

    Raises:
        Refusal: It holds anything but integers, slices, null and one ellipsis.
    """
    if type(value) is not list:
        return _read_part(value)
    if len(value) > 2 * MAX_RANK or sum(_is(part, "__ellipsis__") for part in value) > 1:
        raise refused(value, _ALLOWED)
    return [_read_part(part) for part in value]


def _is(part: Any, class_name: str) -> bool:
    return (
        type(part) is dict
        and part.keys() == {"class_name", "config"}
        and part["class_name"] == class_name
        and type(part["config"]) is dict
    )


def _read_part(part: Any) -> Any:
    if _is(part, "__ellipsis__") and not part["config"]:
        return part
    if _is(part, "__slice__") and part["config"].keys() == {"start", "stop", "step"}:
        config = {name: _bound(part["config"][name]) for name in ("start", "stop", "step")}
        if config["step"] == 0:
            raise refused(config, "a slice whose step is not 0")
        return {"class_name": "__slice__", "config": config}
    if type(part) is dict:
        raise refused(part, _ALLOWED)
    return _place(part)


def indexed(shape: Shape, key: Any) -> Shape:
    """The shape of `x[key]` for a key that `read_index` has accepted."""
    parts = key if isinstance(key, list) else [key]
    consuming = sum(part is not None and not _is(part, "__ellipsis__") for part in parts)
    if consuming > len(shape):
        raise Refusal(f"its index has more parts than {text(shape)} has dimensions")
    if not any(_is(part, "__ellipsis__") for part in parts):
        parts = [*parts, {"class_name": "__ellipsis__", "config": {}}]
    if not _keeps_batch(parts, consuming, len(shape)):
        raise Refusal("its index takes the batch apart. Allowed: `:` or an ellipsis in the first place")
    left, result = list(shape), []
    for part in parts:
        if part is None:
            result.append(ONE)
        elif _is(part, "__ellipsis__"):
            kept = len(shape) - consuming
            result += left[:kept]
            left = left[kept:]
        else:
            result += _picked(left.pop(0), part)
    return tuple(result)


def _keeps_batch(parts: list[Any], consuming: int, rank: int) -> bool:
    if _is(parts[0], "__ellipsis__"):
        return consuming < rank
    return _is(parts[0], "__slice__") and not any(value is not None for value in parts[0]["config"].values())


def _picked(dim: Dim, part: Any) -> list[Dim]:
    """No dimension for an integer, a shorter one for a slice."""
    if not isinstance(part, dict):
        if dim.known and not -dim.size <= part < dim.size:
            raise Refusal(f"its index {part} is outside a dimension of {dim.size}")
        return []
    config = part["config"]
    bounds = slice(config["start"], config["stop"], config["step"])
    size = len(range(*bounds.indices(dim.size)))
    if size < 1 and dim.known:
        raise Refusal(f"its slice leaves nothing of a dimension of {dim.size}")
    return [Dim(max(size, 1), dim.known)]
