"""A body's variables, for the owner of the body."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.state import read


def inspect(variables: dict[str, Any], digests_only: bool) -> tuple[pb.Header, list[np.ndarray]]:
    """Names with values, or with the values' SHA-256."""
    bundle = read(variables)
    if digests_only:
        digests = [hashlib.sha256(array.tobytes()).hexdigest() for array in bundle.values()]
        return pb.Header(inspected=pb.Inspected(names=bundle, digests=digests)), []
    return pb.Header(inspected=pb.Inspected(names=bundle)), list(bundle.values())
