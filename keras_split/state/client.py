"""A client's state as bytes for the next client, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from keras_split.state.bundle import Bundle
from keras_split.state.format import framed, header_line, unframed
from keras_split.state.packing import pack, unpack
from keras_split.state.tensors import bits, listed, specs_of, unlisted, with_bits

_FORMAT = "keras_split.client/1"
_DIGEST_FORMAT = "keras_split.client-digest/1"
_WHAT = "The client state"


def dump(bundle: Mapping[str, np.ndarray]) -> bytes:
    """All of a client's state, packed.

    The form is that of a state on disk, with names sorted and the values packed. Equal states give
    equal bytes where both sides have the same version of Zstandard; `state_digest` needs no such condition.

    Args:
        bundle: Arrays by name.

    Raises:
        ValueError: A name or a dtype that no state may hold.
    """
    ordered = in_order(bundle)
    header = {"format": _FORMAT, "tensors": listed(specs_of(ordered))}
    return b"".join(framed(header, [pack(bits(array) for array in ordered.values())]))


def parse(data: bytes, max_bytes: int) -> Bundle:
    """Reads what `dump` wrote, from a hand that is not trusted.

    The digest in it finds damage. Who wrote it is for a signature to say.

    Args:
        data: Untrusted bytes.
        max_bytes: Of all values together, unpacked. No memory is taken for more.

    Raises:
        CorruptState: Anything but a whole client state of at most `max_bytes`.
    """
    header, packed = unframed(data, _FORMAT, {"tensors"}, _WHAT)
    specs = unlisted(header["tensors"], max_bytes, _WHAT)
    patterns = unpack(packed, [(spec.dtype.itemsize, spec.items) for spec in specs], _WHAT)
    pairs = zip(specs, patterns, strict=True)
    return {spec.name: with_bits(spec, pattern, _WHAT) for spec, pattern in pairs}


def state_digest(bundle: Mapping[str, np.ndarray]) -> str:
    """SHA-256, in hex, of names, dtypes, shapes and bits; independent of the bundle's order.

    Two states have one digest if and only if each bit is the same: -0.0 is not 0.0, and a NaN with
    another payload is another.
    """
    ordered = in_order(bundle)
    header = {"format": _DIGEST_FORMAT, "tensors": listed(specs_of(ordered))}
    hasher = hashlib.sha256(header_line(header))
    for array in ordered.values():
        hasher.update(bits(array).data)
    return hasher.hexdigest()


def in_order(bundle: Mapping[str, np.ndarray]) -> Bundle:
    """The same arrays, their names sorted."""
    return {name: bundle[name] for name in sorted(bundle)}
