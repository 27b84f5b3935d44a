"""Bit patterns made small without loss: bytes of equal weight side by side, then Zstandard.

The low bytes of a float's mantissa are noise that nothing compresses; the bytes with its sign and
exponent are alike from one weight to the next. Side by side these are compressed, and the noise is
stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import zstandard

from keras_split.state.format import CorruptState

# Higher levels search for repetitions, of which weights have none, and find chance ones that spoil the
# statistics: on 100 MB of a ResNet's state, level 3 takes 1.5 times as long and gives more bytes.
_LEVEL = 1
# A decoder sets it aside before it has read anything. Ours ask for half a MiB.
_MAX_WINDOW_BYTES = 8 << 20
# A block of Zstandard has at least 4 bytes and gives at most 128 KiB (RFC 8878, section 3.1.1.2).
_MAX_EXPANSION = (128 << 10) // 4

# Bytes of an item, and the number of items.
Layout = tuple[int, int]


def pack(patterns: Iterable[np.ndarray]) -> bytes:
    """Packs little-endian unsigned integers of 1, 2, 4 or 8 bytes, each `(items,)`."""
    groups: dict[int, list[np.ndarray]] = {}
    for each in patterns:
        groups.setdefault(each.dtype.itemsize, []).append(each)
    total = sum(each.nbytes for group in groups.values() for each in group)
    compressor = zstandard.ZstdCompressor(level=_LEVEL).compressobj(size=total)
    pieces = [compressor.compress(plane.data) for size in sorted(groups) for plane in _planes(groups[size])]
    return b"".join([*pieces, compressor.flush()])


def unpack(packed: memoryview, layouts: Sequence[Layout], what: str) -> list[np.ndarray]:
    """What was packed, as arrays in the order of their layouts; they may share memory.

    Args:
        packed: From an unknown hand.
        layouts: Of each array. Memory for all is taken, so their sum must have been checked.
        what: Begins the text of an error.

    Raises:
        CorruptState: It is not Zstandard, asks for much memory, or holds more or fewer bytes.
    """
    flat = _decompressed(packed, sum(size * count for size, count in layouts), what)
    found: dict[int, np.ndarray] = {}
    offset = 0
    for item_bytes in sorted({size for size, _ in layouts}):
        end = offset + sum(size * count for size, count in layouts if size == item_bytes)
        found[item_bytes] = _joined(flat[offset:end], item_bytes)
        offset = end
    return list(_cut_out(found, layouts))


def _planes(group: list[np.ndarray]) -> Iterator[np.ndarray]:
    """All first bytes, then all second bytes and so on; tensors together, since many are tiny."""
    together = np.concatenate(group)
    by_item = together.view(np.uint8).reshape(-1, together.itemsize)
    for at in range(together.itemsize):
        yield np.ascontiguousarray(by_item[:, at])


def _joined(planes: np.ndarray, item_bytes: int) -> np.ndarray:
    items = np.empty(len(planes) // item_bytes, f"<u{item_bytes}")
    items.view(np.uint8).reshape(-1, item_bytes)[...] = planes.reshape(item_bytes, -1).T
    return items


def _cut_out(groups: dict[int, np.ndarray], layouts: Sequence[Layout]) -> Iterator[np.ndarray]:
    taken = dict.fromkeys(groups, 0)
    for size, count in layouts:
        yield groups[size][taken[size] : taken[size] + count]
        taken[size] += count


def _decompressed(packed: memoryview, total: int, what: str) -> np.ndarray:
    try:
        _check_frame(packed, total, what)
        return _read(packed, total, what)
    except zstandard.ZstdError:
        raise CorruptState(f"{what} is not what was packed: it cannot be decompressed.") from None


def _check_frame(packed: memoryview, total: int, what: str) -> None:
    """Before memory is taken, that the frame declares what we expect and can hold so much."""
    declared = zstandard.get_frame_parameters(packed)
    if declared.window_size > _MAX_WINDOW_BYTES:
        raise CorruptState(f"{what} is packed with a window of {declared.window_size} bytes.")
    if declared.content_size != total:
        raise CorruptState(f"{what} packs {declared.content_size} bytes, where {total} are expected.")
    if total > len(packed) * _MAX_EXPANSION:
        raise CorruptState(f"{what} declares {total} bytes; {len(packed)} packed ones cannot hold so much.")


def _read(packed: memoryview, total: int, what: str) -> np.ndarray:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    flat, filled = np.empty(total, np.uint8), 0
    with decompressor.stream_reader(packed, read_across_frames=True) as reader:
        while filled < total:
            count = reader.readinto(flat[filled:].data)
            if not count:
                raise CorruptState(f"{what} ends after {filled} of {total} packed bytes.")
            filled += count
        if reader.read(1):
            raise CorruptState(f"{what} packs more than the {total} bytes that it declares.")
    return flat
