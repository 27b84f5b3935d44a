"""Messages of any size as frames of at most a mebibyte, with a ceiling on every read.

Large tensors stay out of protobuf's repeated fields (1 MiB of floats takes 21 ms that way, 0.05 ms as
bytes), and out of one large message (gRPC copies those several times, and holds the interpreter).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec.dtypes import from_wire_dtype, to_wire_dtype
from keras_split.codec.limits import MIB, Limits
from keras_split.errors import ProtocolError

CHUNK_BYTES = MIB


class Message(NamedTuple):
    """A decoded message: its header, and its tensors in the header's order."""

    header: pb.Header
    tensors: list[np.ndarray]


def pack(header: pb.Header, tensors: Sequence[np.ndarray] = ()) -> Iterator[pb.Frame]:
    """Yields the frames of a message.

    Args:
        header: Complete but for `tensors`, which is filled in here.
        tensors: Arrays of the dtypes in `dtypes`, any rank.
    """
    arrays = [_in_order(np.asarray(tensor)) for tensor in tensors]
    for array, tensor in zip(arrays, tensors, strict=True):
        header.tensors.add(dtype=to_wire_dtype(array.dtype), dims=np.shape(tensor))
    chunks = _chunks([_little_endian_bytes(array) for array in arrays])
    yield pb.Frame(header=header, data=next(chunks, b""))
    for chunk in chunks:
        yield pb.Frame(data=chunk)


def unpack(frames: Iterator[pb.Frame], limits: Limits) -> Message | None:
    """Reads one message; None at the end of the stream.

    Raises:
        ProtocolError: Anything that a well-behaved peer would not send.
    """
    first = next(frames, None)
    if first is None:
        return None
    if not first.HasField("header"):
        raise ProtocolError("A message must begin with a frame that has a header.")
    specs = _checked_specs(first.header.tensors, limits)
    buffer = _read_bytes(first, frames, sum(_byte_count(*spec) for spec in specs))
    return Message(first.header, list(_views(buffer, specs)))


def declared_bytes(header: pb.Header, limits: Limits) -> int:
    """The bytes of tensors that follow a header.

    Raises:
        ProtocolError: Tensors that `unpack` refuses.
    """
    return sum(_byte_count(*spec) for spec in _checked_specs(header.tensors, limits))


def _in_order(array: np.ndarray) -> np.ndarray:
    """C-contiguous, in this machine's byte order."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _little_endian_bytes(array: np.ndarray) -> memoryview:
    if sys.byteorder == "big":
        array = array.byteswap()
    return memoryview(array.reshape(-1).view(np.uint8).data)


def _chunks(views: Iterable[memoryview]) -> Iterator[bytes]:
    """Joins small views and cuts large ones, so that every chunk but the last is full."""
    parts: list[memoryview] = []
    room = CHUNK_BYTES
    for view in views:
        while len(view):
            parts.append(view[:room])
            view = view[room:]
            room -= len(parts[-1])
            if not room:
                yield b"".join(parts)
                parts, room = [], CHUNK_BYTES
    if parts:
        yield b"".join(parts)


def _checked_specs(tensors: Sequence[pb.Tensor], limits: Limits) -> list[tuple[np.dtype, tuple[int, ...]]]:
    if len(tensors) > limits.max_tensors:
        raise ProtocolError(f"{len(tensors)} tensors in a message; at most {limits.max_tensors}.")
    specs = [(from_wire_dtype(each.dtype), _checked_shape(each, limits)) for each in tensors]
    total = sum(_byte_count(*spec) for spec in specs)
    if total > limits.max_message_bytes:
        raise ProtocolError(
            f"A message of {total} bytes exceeds the limit of {limits.max_message_bytes}. Use "
            "smaller batches, or raise `max_message_bytes` (`--max-message-mib` of the server)."
        )
    return specs


def _checked_shape(tensor: pb.Tensor, limits: Limits) -> tuple[int, ...]:
    shape = tuple(tensor.dims)
    if len(shape) > limits.max_rank:
        raise ProtocolError(f"A tensor of rank {len(shape)}; at most {limits.max_rank}.")
    if any(not 0 < size <= limits.max_dimension for size in shape):
        raise ProtocolError(f"A tensor of shape {shape}; sizes are from 1 to {limits.max_dimension}.")
    return shape


def _byte_count(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    # Python integers: a product of hostile sizes must not wrap around.
    return math.prod(shape) * dtype.itemsize


def _read_bytes(first: pb.Frame, frames: Iterator[pb.Frame], total: int) -> np.ndarray:
    # Memory that is not written to is not taken, so a header alone costs its sender more than us.
    buffer = np.empty(total, np.uint8)
    filled, frame = 0, first
    while True:
        end = filled + len(frame.data)
        if end > total:
            raise ProtocolError(f"A message has more than the {total} bytes that it declared.")
        buffer[filled:end] = np.frombuffer(frame.data, np.uint8)
        filled = end
        if filled == total:
            return buffer
        following = next(frames, None)
        if following is None or following.HasField("header") or not following.data:
            raise ProtocolError(f"A message ended after {filled} of {total} bytes.")
        frame = following


def _views(buffer: np.ndarray, specs: Sequence[tuple[np.dtype, tuple[int, ...]]]) -> Iterator[np.ndarray]:
    offset = 0
    for dtype, shape in specs:
        end = offset + _byte_count(dtype, shape)
        raw = buffer[offset:end]
        if dtype == np.bool_ and (raw > 1).any():
            raise ProtocolError("A boolean tensor holds bytes other than 0 and 1.")
        yield _native(raw, dtype).reshape(shape)
        offset = end


def _native(raw: np.ndarray, dtype: np.dtype) -> np.ndarray:
    # Tensors share one buffer; one that starts off its alignment gets a copy of its own.
    aligned = raw if raw.ctypes.data % dtype.itemsize == 0 else raw.copy()
    array = aligned.view(dtype)
    return array.byteswap() if sys.byteorder == "big" else array
