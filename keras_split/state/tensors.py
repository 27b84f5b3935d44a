"""Arrays by name as a list of names, dtypes and shapes, with the bits of each."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from keras_split.state.bundle import Bundle
from keras_split.state.format import CorruptState

_DTYPES = {
    np.dtype(kind).name: np.dtype(kind)
    for kind in (
        *(np.float16, np.float32, np.float64, ml_dtypes.bfloat16, np.bool_),
        *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
    )
}
# NumPy makes a dtype's name anew each time.
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MAX_NAME_CHARACTERS = 1024
# NumPy 1 knows no more dimensions.
_MAX_RANK = 32


class Spec(NamedTuple):
    """One array without its values.

    Args:
        name: Its key in the bundle.
        dtype: One of the closed list, in the machine's byte order.
        shape: Its sizes, zeros included.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def items(self) -> int:
        """Number of items; a Python integer, which no hostile size makes wrap around."""
        return math.prod(self.shape)

    @property
    def byte_count(self) -> int:
        """Bytes of the values."""
        return self.items * self.dtype.itemsize


def specs_of(bundle: Mapping[str, Any]) -> list[Spec]:
    """What each array of a bundle is, in the bundle's order.

    Raises:
        ValueError: A name or a dtype that no state may hold.
    """
    return [_spec_of(name, np.asarray(array)) for name, array in bundle.items()]


def listed(specs: list[Spec]) -> list[Any]:
    """JSON-ready."""
    return [[name, _NAMES[dtype], list(shape)] for name, dtype, shape in specs]


def unlisted(tensors: Any, max_bytes: int, what: str) -> list[Spec]:
    """What `listed` gave, checked in every part, so that memory may be taken for it.

    Args:
        tensors: From parsed JSON of an unknown hand.
        max_bytes: Of all values together.
        what: Begins the text of an error.

    Raises:
        CorruptState: A name, dtype or shape that cannot be, a name twice, or too many bytes.
    """
    if not isinstance(tensors, list):
        raise CorruptState(f"{what} has no list of tensors.")
    specs = [_checked(each, what) for each in tensors]
    if len({spec.name for spec in specs}) != len(specs):
        raise CorruptState(f"{what} has two tensors of one name.")
    total = sum(spec.byte_count for spec in specs)
    if total > max_bytes:
        raise CorruptState(f"{what} declares tensors of {total} bytes; at most {max_bytes}.")
    return specs


def bits(array: Any) -> np.ndarray:
    """The bit patterns of an array as little-endian unsigned integers, `(items,)`; a copy only at need."""
    array = np.ascontiguousarray(array).reshape(-1)
    if not array.dtype.isnative:
        # Swapped as bytes: a conversion of numbers might change the payload of a NaN.
        array = array.byteswap().view(array.dtype.newbyteorder("="))
    size = array.dtype.itemsize
    return array.view(f"u{size}").astype(f"<u{size}", copy=False)


def with_bits(spec: Spec, pattern: np.ndarray, what: str) -> np.ndarray:
    """The array of a spec whose `bits` are the given ones, in the same memory.

    Raises:
        CorruptState: Booleans that are neither 0 nor 1, which NumPy would carry on.
    """
    if spec.dtype == np.bool_ and (pattern > 1).any():
        raise CorruptState(f"{what} holds booleans other than 0 and 1.")
    native = pattern.astype(pattern.dtype.newbyteorder("="), copy=False)
    return native.view(spec.dtype).reshape(spec.shape)


def split_up(specs: list[Spec], raw: memoryview, what: str) -> Bundle:
    """Arrays from their bytes one after the other; each has memory of its own.

    Raises:
        CorruptState: The bytes are more or fewer than the specs ask for.
    """
    total = sum(spec.byte_count for spec in specs)
    if total != len(raw):
        raise CorruptState(f"{what} declares tensors of {total} bytes and has {len(raw)}.")
    bundle, offset = {}, 0
    for spec in specs:
        end = offset + spec.byte_count
        pattern = np.frombuffer(bytearray(raw[offset:end]), f"<u{spec.dtype.itemsize}")
        bundle[spec.name] = with_bits(spec, pattern, what)
        offset = end
    return bundle


def _spec_of(name: Any, array: np.ndarray) -> Spec:
    if not _is_name(name):
        raise ValueError(
            f"A state's names are texts of at most {_MAX_NAME_CHARACTERS} characters. Received: "
            f"name={name!r:.80}."
        )
    dtype = _native(array.dtype)
    if dtype not in _NAMES:
        raise ValueError(
            f"A state cannot hold {name!r}. Allowed dtypes: {', '.join(_DTYPES)}. Received: "
            f"dtype={array.dtype.name}."
        )
    return Spec(name, dtype, array.shape)


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def _checked(listed_one: Any, what: str) -> Spec:
    if not isinstance(listed_one, list) or len(listed_one) != 3:
        raise CorruptState(f"{what} lists a tensor without name, dtype and shape.")
    name, dtype_name, shape = listed_one
    if not _is_name(name):
        raise CorruptState(f"{what} has a name that is no text, or too long.")
    dtype = _DTYPES.get(dtype_name) if isinstance(dtype_name, str) else None
    if dtype is None:
        raise CorruptState(f"{what} has a dtype that no state may hold.")
    if not _is_shape(shape, dtype.itemsize):
        raise CorruptState(f"{what} has a shape that no array can have.")
    return Spec(name, dtype, tuple(shape))


def _is_name(name: Any) -> bool:
    """JSON can spell half a surrogate pair, which is no text and cannot be encoded again."""
    if not isinstance(name, str) or len(name) > _MAX_NAME_CHARACTERS:
        return False
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def _is_shape(shape: Any, item_bytes: int) -> bool:
    if not isinstance(shape, list) or len(shape) > _MAX_RANK:
        return False
    # True is an integer to Python, and no size.
    if not all(type(size) is int and 0 <= size <= sys.maxsize for size in shape):
        return False
    # NumPy leaves out the zeros when it looks whether an array is too big.
    return math.prod(size or 1 for size in shape) * item_bytes <= sys.maxsize
