"""Copies untrusted JSON under ceilings, so that every later stage walks something small and plain.

Lists and tuples become lists; what is neither JSON nor finite is refused.
"""

from __future__ import annotations

import math
from typing import Any

from keras_split.errors import TopologyError
from keras_split.topology.limits import TopologyLimits

_MAX_INTEGER = 1 << 63


def plain_copy(config: object, limits: TopologyLimits) -> Any:
    """Returns a copy made of dict, list, str, int, float, bool and None alone.

    Raises:
        TopologyError: The config is too big, too deep, or holds something that JSON does not.
    """
    return _Copier(limits).copy(config, 0)


class _Copier:
    def __init__(self, limits: TopologyLimits) -> None:
        self._limits = limits
        self._bytes_left = limits.max_config_bytes

    def copy(self, value: object, depth: int) -> Any:
        if depth > self._limits.max_config_depth:
            raise TopologyError(
                f"The topology nests more than {self._limits.max_config_depth} levels of JSON."
            )
        if type(value) is dict:
            self._spend(2)
            return {self._key(key): self.copy(each, depth + 1) for key, each in value.items()}
        if type(value) in (list, tuple):
            self._spend(2)
            return [self.copy(each, depth + 1) for each in value]  # type: ignore[attr-defined]
        return self._scalar(value)

    def _key(self, key: object) -> str:
        if type(key) is not str:
            raise TopologyError(
                f"The topology has a key of type {type(key).__name__}. Allowed: text, as in JSON."
            )
        self._spend(len(key) + 4)
        return key

    def _scalar(self, value: object) -> Any:
        self._spend(len(value) + 4 if type(value) is str else 4)
        if value is None or type(value) in (bool, str):
            return value
        if type(value) is int and abs(value) <= _MAX_INTEGER:
            return value
        if type(value) is float and math.isfinite(value):
            return value
        raise TopologyError(
            f"The topology holds a value of type {type(value).__name__} that is refused. "
            "Allowed: text, true, false, null, integers of 64 bits and finite numbers."
        )

    def _spend(self, count: int) -> None:
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise TopologyError(
                f"The topology is larger than {self._limits.max_config_bytes} bytes. "
                "Raise `TopologyLimits.max_config_bytes` if you trust its sender with that much."
            )
