"""What changed between two states of a client, to the bit (paper, section 3.4).

The difference is one of bit patterns: in floating point, `w0 + (w - w0)` is not always `w`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras_split.state.bundle import Bundle
from keras_split.state.client import in_order, state_digest
from keras_split.state.format import CorruptState, framed, unframed
from keras_split.state.packing import pack, unpack
from keras_split.state.tensors import Spec, bits, specs_of, with_bits

_FORMAT = "keras_split.delta/1"
_WHAT = "The delta"


def difference(base: Mapping[str, np.ndarray], result: Mapping[str, np.ndarray]) -> bytes:
    """The exclusive or of two states' bits, packed, with the digests of both.

    Names and shapes are not in it: who applies it has the base. After many steps it is little smaller than
    the full state, and may be larger; compare it with `dump(result)` and send the shorter one.

    Args:
        base: State that the receiver has.
        result: State that it shall have; the same names, dtypes and shapes.

    Raises:
        ValueError: The two are not states of one model.
    """
    base, result = in_order(base), in_order(result)
    if specs_of(base) != specs_of(result):
        raise ValueError(
            "A delta needs two states of one model, with the same names, dtypes and shapes. Hand over the "
            f"full state instead. Received: {_first_difference(specs_of(base), specs_of(result))}."
        )
    header = {"format": _FORMAT, "base": state_digest(base), "result": state_digest(result)}
    changes = (bits(base[name]) ^ bits(result[name]) for name in base)
    return b"".join(framed(header, [pack(changes)]))


def applied(base: Mapping[str, np.ndarray], delta: bytes, max_bytes: int) -> Bundle:
    """The state after a delta; the base stays as it is.

    Args:
        base: State to begin from; the very one that the delta was made for.
        delta: Untrusted bytes.
        max_bytes: Of the state, which a delta cannot make larger, and of the delta itself.

    Raises:
        CorruptState: Damaged, made for another base, or not leading to the state that it names. A
            full state is the way out of the last two.
    """
    if len(delta) > max_bytes:
        raise CorruptState(f"{_WHAT} has {len(delta)} bytes; at most {max_bytes}.")
    header, packed = unframed(delta, _FORMAT, {"base", "result"}, _WHAT)
    base = in_order(base)
    if header["base"] != state_digest(base):
        raise CorruptState(f"{_WHAT} was made for another state than the one here. Ask for a full state.")
    result = _changed(base, packed, max_bytes)
    if header["result"] != state_digest(result):
        raise CorruptState(f"{_WHAT} does not lead to the state that it names. Ask for a full state.")
    return result


def _changed(base: Bundle, packed: memoryview, max_bytes: int) -> Bundle:
    specs = specs_of(base)
    total = sum(spec.byte_count for spec in specs)
    if total > max_bytes:
        raise CorruptState(f"{_WHAT} is for a state of {total} bytes; at most {max_bytes}.")
    patterns = unpack(packed, [(spec.dtype.itemsize, spec.items) for spec in specs], _WHAT)
    for spec, pattern in zip(specs, patterns, strict=True):
        np.bitwise_xor(pattern, bits(base[spec.name]), out=pattern)
    pairs = zip(specs, patterns, strict=True)
    return {spec.name: with_bits(spec, pattern, _WHAT) for spec, pattern in pairs}


def _first_difference(base: list[Spec], result: list[Spec]) -> str:
    """Of two lists that differ, where they do."""
    mine, theirs = ({spec.name: spec for spec in specs} for specs in (base, result))
    name = min(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
    return f"{name!r} as {_words(mine.get(name))} and as {_words(theirs.get(name))}"


def _words(spec: Spec | None) -> str:
    return f"{spec.dtype.name}{list(spec.shape)}" if spec else "absent"
