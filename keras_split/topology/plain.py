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
    _Checker(limits).check(config, 0)
    return _copied(config)


def _copied(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if type(value) in (list, tuple) else value


class _Checker:
    """Walks all of a config before anything is copied, so that what is refused takes no memory."""

    def __init__(self, limits: TopologyLimits) -> None:
        self._limits = limits
        self._bytes_left = limits.max_config_bytes
        self._values_left = limits.max_config_values

    def check(self, value: object, depth: int) -> None:
        """Goes through one value and all inside it."""
        self._count(2 if type(value) is dict else 1)
        if depth > self._limits.max_config_depth:
            raise TopologyError(
                f"The topology nests more than {self._limits.max_config_depth} levels of JSON."
            )
        if type(value) is dict:
            self._spend(2)
            for key, each in value.items():
                self._key(key)
                self.check(each, depth + 1)
        elif type(value) in (list, tuple):
            self._spend(2)
            for each in value:  # type: ignore[attr-defined]
                self.check(each, depth + 1)
        else:
            self._scalar(value)

    def _key(self, key: object) -> None:
        if type(key) is not str:
            raise TopologyError(
                f"The topology has a key of type {type(key).__name__}. Allowed: text, as in JSON."
            )
        self._spend(len(key) + 4)

    def _scalar(self, value: object) -> None:
        self._spend(len(value) + 4 if type(value) is str else 4)
        fine = (
            value is None
            or type(value) in (bool, str)
            or (type(value) is int and abs(value) <= _MAX_INTEGER)
            or (type(value) is float and math.isfinite(value))
        )
        if not fine:
            raise TopologyError(
                f"The topology holds a value of type {type(value).__name__} that is refused. "
                "Allowed: text, true, false, null, integers of 64 bits and finite numbers."
            )

    def _count(self, values: int) -> None:
        self._values_left -= values
        if self._values_left < 0:
            raise TopologyError(
                f"The topology holds more than {self._limits.max_config_values} values. "
                "Raise `TopologyLimits.max_config_values` if you trust its sender with that much."
            )

    def _spend(self, count: int) -> None:
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise TopologyError(
                f"The topology is larger than {self._limits.max_config_bytes} bytes. "
                "Raise `TopologyLimits.max_config_bytes` if you trust its sender with that much."
            )
