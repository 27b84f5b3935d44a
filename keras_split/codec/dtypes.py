"""The closed list of element types that may cross the wire."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.errors import ProtocolError

_NAMES = {
    pb.FLOAT32: np.dtype(np.float32),
    pb.FLOAT16: np.dtype(np.float16),
    pb.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
    pb.FLOAT64: np.dtype(np.float64),
    pb.INT8: np.dtype(np.int8),
    pb.INT16: np.dtype(np.int16),
    pb.INT32: np.dtype(np.int32),
    pb.INT64: np.dtype(np.int64),
    pb.UINT8: np.dtype(np.uint8),
    pb.UINT16: np.dtype(np.uint16),
    pb.UINT32: np.dtype(np.uint32),
    pb.UINT64: np.dtype(np.uint64),
    pb.BOOL: np.dtype(np.bool_),
}
_WIRE = {dtype: wire for wire, dtype in _NAMES.items()}


def to_wire_dtype(dtype: object) -> pb.DType:
    """The wire's name of a NumPy dtype.

    Raises:
        ValueError: The dtype may not travel, strings and objects above all.
    """
    wire = _WIRE.get(np.dtype(dtype).newbyteorder("="))  # type: ignore[call-overload]
    if wire is None:
        allowed = ", ".join(sorted(str(name) for name in _WIRE))
        raise ValueError(
            f"Tensors of this dtype cannot cross the cut. Allowed: {allowed}. Convert labels such as "
            f"strings to integers first. Received: dtype={dtype}."
        )
    return wire


def from_wire_dtype(wire: int) -> np.dtype:
    """The NumPy dtype of a wire name; raises `ProtocolError` for one that is not on the list."""
    dtype = _NAMES.get(wire)  # type: ignore[call-overload]
    if dtype is None:
        raise ProtocolError(f"The peer sent a tensor of the unknown dtype number {wire}.")
    return dtype
