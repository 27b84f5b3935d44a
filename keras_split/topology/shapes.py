"""Shapes of tensors, with dimensions that may be unknown but always have a size to count with.

An unknown dimension carries an assumed size, so that a chain of up-samplings of an image of any
size is still bounded. The first dimension is the batch, and counts as one sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keras_split.topology.checks import MAX_RANK, Refusal


@dataclass(frozen=True)
class Dim:
    """One dimension: its size, and whether the config fixes it or it is assumed."""

    size: int
    known: bool = True

    def __str__(self) -> str:
        return str(self.size) if self.known else "?"


Shape = tuple[Dim, ...]
BATCH = Dim(1, known=False)
ONE = Dim(1)


def text(shape: Sequence[Dim]) -> str:
    """For messages: `(?, 28, 28, 1)`."""
    return f"({', '.join(str(dim) for dim in shape)})"


def elements(dims: Iterable[Dim]) -> int:
    """Number of values of one sample, exact in Python integers."""
    return math.prod(dim.size for dim in dims)


def product(dims: Sequence[Dim]) -> Dim:
    """All dimensions as one."""
    return Dim(elements(dims), all(dim.known for dim in dims))


def scaled(dim: Dim, factor: int) -> Dim:
    """A dimension repeated."""
    return Dim(dim.size * factor, dim.known)


def shifted(dim: Dim, by: int) -> Dim:
    """A dimension padded, or cropped where `by` is negative."""
    return _positive(dim.size + by, dim)


def _positive(size: int, origin: Dim) -> Dim:
    if size < 1 and origin.known:
        raise Refusal(f"it would leave nothing of a dimension of {origin.size}")
    return Dim(max(size, 1), origin.known)


def fixed(dim: Dim, meaning: str) -> int:
    """The size of a dimension that a weight depends on.

    Raises:
        Refusal: The config leaves it open.
    """
    if not dim.known:
        raise Refusal(f"its {meaning} is not known. Allowed: an input whose {meaning} is fixed")
    return dim.size


def at_rank(shape: Shape, *ranks: int) -> Shape:
    """The shape itself, if it has one of these ranks."""
    if len(shape) not in ranks:
        wanted = " or ".join(str(rank) for rank in ranks)
        raise Refusal(f"it gets an input of shape {text(shape)}. Allowed: rank {wanted}")
    return shape


def index(shape: Sequence[Dim], axis: int) -> int:
    """A non-negative axis of this shape."""
    if not -len(shape) <= axis < len(shape):
        raise Refusal(f"axis {axis} is outside its input of shape {text(shape)}")
    return axis % len(shape)


def indices(shape: Sequence[Dim], axes: int | list[int] | None) -> list[int]:
    """Non-negative axes of this shape, each once; null means all."""
    if axes is None:
        return list(range(len(shape)))
    found = [index(shape, axis) for axis in (axes if isinstance(axes, list) else [axes])]
    if len(set(found)) != len(found):
        raise Refusal(f"an axis is named twice in {axes}")
    return sorted(found)


def replaced(shape: Shape, axis: int, dim: Dim) -> Shape:
    """The shape with one dimension changed; `axis` is non-negative."""
    return (*shape[:axis], dim, *shape[axis + 1 :])


def broadcast(*shapes: Shape) -> Shape:
    """NumPy's rule: dimensions are aligned at the right, and 1 fits everything."""
    result: Shape = ()
    for shape in shapes:
        longer, shorter = sorted((result, shape), key=len, reverse=True)
        split = len(longer) - len(shorter)
        met = tuple(_meet(one, other) for one, other in zip(longer[split:], shorter, strict=True))
        result = longer[:split] + met
    return result


def _meet(one: Dim, other: Dim) -> Dim:
    if one.known and other.known:
        if 1 not in (one.size, other.size) and one != other:
            raise Refusal(f"it gets inputs whose dimensions {one} and {other} do not fit")
        return Dim(max(one.size, other.size))
    return Dim(max(one.size, other.size), known=False)


def concatenated(shapes: Sequence[Shape], axis: int) -> Shape:
    """Shapes joined along one axis."""
    first = shapes[0]
    at = index(first, axis)
    for shape in shapes[1:]:
        if len(shape) != len(first):
            raise Refusal(f"it gets inputs of shapes {text(first)} and {text(shape)}")
    joined = Dim(sum(shape[at].size for shape in shapes), all(shape[at].known for shape in shapes))
    return replaced(broadcast(*(replaced(shape, at, ONE) for shape in shapes)), at, joined)


def reshaped(dims: Sequence[Dim], target: Sequence[int]) -> Shape:
    """Dimensions in a new order of sizes, of which at most one is -1."""
    total, fixed_part = product(dims), math.prod(size for size in target if size != -1)
    open_dims = list(target).count(-1)
    if open_dims > 1 or fixed_part < 1 or len(target) > MAX_RANK:
        raise Refusal(f"{list(target)} is no shape. Allowed: positive sizes and at most one -1")
    fits = total.size % fixed_part == 0 if open_dims else total.size == fixed_part
    if total.known and not fits:
        raise Refusal(f"{text(dims)} cannot be reshaped to {list(target)}")
    rest = Dim(max(-(-total.size // fixed_part), 1), total.known)
    return tuple(rest if size == -1 else Dim(size) for size in target)


def window_length(dim: Dim, size: int, stride: int, dilation: int, padding: str) -> Dim:
    """How many times a window of a convolution or a pooling fits."""
    span = dilation * (size - 1) + 1 if padding == "valid" else 1
    return _positive((dim.size - span) // stride + 1, dim)


def transposed_length(
    dim: Dim, size: int, stride: int, dilation: int, padding: str, extra: int | None
) -> Dim:
    """The inverse of `window_length`, as Keras' transposed convolutions define it."""
    span = dilation * (size - 1) + 1
    if padding == "valid":
        tail = max(span, stride) - span if extra is None else extra
        return Dim((dim.size - 1) * stride + span + tail, dim.known)
    if extra is None:
        return scaled(dim, stride)
    return Dim((dim.size - 1) * stride + span % 2 + extra, dim.known)
