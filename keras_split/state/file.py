"""State on disk: written whole or not at all, and never trusted without its digest.

A file is a line of JSON (format, metadata, names, dtypes, shapes), the tensors' bytes, and the
SHA-256 of all before it. No pickle, no HDF5 and no npz: each of these turns a small hostile file into
code or into gigabytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_split.state.bundle import Bundle

UNFINISHED = ".writing-"
_FORMAT = "keras_split.state/1"
_DIGEST_BYTES = 32
_MAX_HEADER_BYTES = 16 << 20
_DTYPES = {
    np.dtype(kind).name: np.dtype(kind)
    for kind in (
        *(np.float16, np.float32, np.float64, ml_dtypes.bfloat16, np.bool_),
        *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
    )
}


class CorruptState(ValueError):
    """A file that is not what was once written."""


def save(path: Path, bundle: Bundle, metadata: dict[str, Any]) -> None:
    """Writes a file that is either complete or absent, also after a power cut.

    Args:
        path: Where to; its folder must exist.
        bundle: Arrays by name.
        metadata: JSON-ready.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write(file, bundle, metadata)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def load(path: Path) -> tuple[Bundle, dict[str, Any]]:
    """Reads what `save` wrote.

    Raises:
        CorruptState: The digest, the header or a length is wrong.
    """
    content = path.read_bytes()
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise CorruptState(f"{path} is damaged: its digest does not match its contents.")
    line, _, raw = body.partition(b"\n")
    header = json.loads(line) if len(line) <= _MAX_HEADER_BYTES else {}
    if header.get("format") != _FORMAT:
        raise CorruptState(f"{path} is not a state file of this version ({_FORMAT}).")
    return _arrays(header["tensors"], memoryview(raw)), header["metadata"]


def _write(file: Any, bundle: Bundle, metadata: dict[str, Any]) -> None:
    arrays = {name: _little_endian(array) for name, array in bundle.items()}
    tensors = [[name, array.dtype.name, list(array.shape)] for name, array in bundle.items()]
    header = {"format": _FORMAT, "metadata": metadata, "tensors": tensors}
    hasher = hashlib.sha256()
    for piece in (json.dumps(header).encode() + b"\n", *arrays.values()):
        hasher.update(piece)
        file.write(piece)
    file.write(hasher.digest())
    file.flush()
    os.fsync(file.fileno())


def _little_endian(array: np.ndarray) -> bytes:
    return (array.byteswap() if sys.byteorder == "big" else array).tobytes()


def _arrays(tensors: list[Any], raw: memoryview) -> Bundle:
    bundle, offset = {}, 0
    for name, dtype_name, shape in tensors:
        dtype = _DTYPES[dtype_name]
        end = offset + math.prod(shape) * dtype.itemsize
        array = np.frombuffer(bytes(raw[offset:end]), dtype).reshape(shape)
        bundle[name] = array.byteswap() if sys.byteorder == "big" else array
        offset = end
    return bundle


def _sync_folder(folder: Path) -> None:
    # Without this the rename itself may be lost in a power cut.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
