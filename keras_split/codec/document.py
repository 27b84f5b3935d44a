"""JSON from a peer, with a ceiling on what it becomes in memory."""

from __future__ import annotations

import json
import math
from typing import Any

from keras_split.errors import ProtocolError

# A value of three characters takes some 64 bytes as an object.
_MAX_VALUES = 1 << 19
_MAX_DEPTH = 200


def read_document(text: str, what: str, *, finite: bool = True) -> dict[str, Any]:
    """Parses a JSON object.

    Args:
        text: From the peer.
        what: What it is, for the text of errors.
        finite: Refuse NaN and infinity, which have no digest.

    Raises:
        ProtocolError: It is no JSON object, or larger or deeper than anything that a well-behaved peer
            sends.
    """
    # Each value but the first stands behind one of these. Some may be within strings, which does no harm.
    if sum(map(text.count, ",[{")) > _MAX_VALUES:
        raise ProtocolError(f"{what} has more than {_MAX_VALUES} values.")
    try:
        number = _finite if finite else float
        value = json.loads(text, parse_float=number, parse_constant=number)
    except (ValueError, RecursionError):
        raise ProtocolError(f"{what} is not JSON.") from None
    if type(value) is not dict or _is_deep(value):
        raise ProtocolError(f"{what} is not a JSON object of at most {_MAX_DEPTH} levels.")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for each in level for child in _children(each)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
