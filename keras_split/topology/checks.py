"""Checks of single options: each returns the value to use, or refuses and says what is allowed.

A check is a function of one JSON value. Ceilings that depend on several options at once, such as
the number of parameters, are not here but in the `Meter`.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

MAX_DIM = 1 << 24
MAX_RANK = 8

Check = Callable[[Any], Any]
Options = dict[str, Any]


class Refusal(Exception):
    """Something in a config is not accepted.

    Args:
        text: What is wrong and what is allowed.
        where: Path of the option inside its layer, for example `kernel_initializer.stddev`.
    """

    def __init__(self, text: str, where: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.where = where

    def under(self, part: str) -> Refusal:
        """The same refusal, seen from one level further out."""
        return Refusal(self.text, f"{part}.{self.where}" if self.where else part)

    def __str__(self) -> str:
        return f"option `{self.where}` is {self.text}" if self.where else self.text


def refused(value: Any, allowed: str) -> Refusal:
    """The refusal of one value; a long value is shortened."""
    return Refusal(f"{reprlib.repr(value)}, which is not accepted. Allowed: {allowed}")


def _check(allowed: str, accepts: Callable[[Any], bool]) -> Check:
    def check(value: Any) -> Any:
        if not accepts(value):
            raise refused(value, allowed)
        return value

    return check


def integer(low: int, high: int = MAX_DIM) -> Check:
    """A JSON integer; `true` is none."""
    return _check(
        f"an integer from {low} to {high}",
        lambda value: type(value) is int and low <= value <= high,
    )


def number(low: float = -1e9, high: float = 1e9) -> Check:
    """A finite number."""

    def accepts(value: Any) -> bool:
        return type(value) in (int, float) and math.isfinite(value) and low <= value <= high

    return _check(f"a number from {low:g} to {high:g}", accepts)


def choice(*values: Any) -> Check:
    """One of a closed list of scalars, told apart by type too: 1 is not `true`."""
    kinds = {(type(value), value) for value in values}

    def accepts(value: Any) -> bool:
        return type(value) in (str, int, float, bool, type(None)) and (type(value), value) in kinds

    return _check(" or ".join(repr(value) for value in values), accepts)


def optional(check: Check) -> Check:
    """What `check` takes, or null."""
    return lambda value: None if value is None else check(value)


def either(*checks: Check) -> Check:
    """What one of the checks takes; the refusal is the last one's."""

    def check(value: Any) -> Any:
        for attempt in checks[:-1]:
            try:
                return attempt(value)
            except Refusal:
                continue
        return checks[-1](value)

    return check


def list_of(check: Check, low: int = 0, high: int = MAX_RANK) -> Check:
    """A list of `low` to `high` values."""

    def read(value: Any) -> list[Any]:
        if type(value) is not list or not low <= len(value) <= high:
            raise refused(value, f"a list of {low} to {high} values")
        return [check(each) for each in value]

    return read


def tuple_of(check: Check, length: int) -> Check:
    """A list of exactly `length` values."""
    return list_of(check, length, length)


def words(text: str) -> tuple[str, ...]:
    """A closed list of names, written as one line."""
    return tuple(text.split())


boolean = choice(True, False)
null = choice(None)
axis = integer(-MAX_RANK, MAX_RANK - 1)
axes = either(list_of(axis, 1), axis)
data_format = choice("channels_last", "channels_first", None)


def seed(value: Any) -> None:
    """Any seed is accepted and forgotten: the client draws its own."""


def printable_name(value: Any) -> str:
    """A name that can be shown on a terminal and used in a variable's path."""
    fine = type(value) is str and 0 < len(value) <= 128 and value.isprintable()
    if not fine or "/" in value:
        raise refused(value, "1 to 128 printable characters without '/'")
    return value


def read_options(checks: Mapping[str, Check], config: Any, required: frozenset[str]) -> Options:
    """Checks a dict of options against a closed table.

    Raises:
        Refusal: An option is unknown, missing or not accepted.
    """
    if type(config) is not dict:
        raise refused(config, "a dict of options")
    for name in config:
        if name not in checks:
            shown = ascii(name)[1:60].rstrip("'")
            raise Refusal(f"unknown. Allowed options: {', '.join(sorted(checks))}", shown)
    for name in sorted(required - config.keys()):
        raise Refusal("missing, and has no default", name)
    return {name: _read_one(checks[name], name, value) for name, value in config.items()}


def _read_one(check: Check, name: str, value: Any) -> Any:
    try:
        return check(value)
    except Refusal as refusal:
        raise refusal.under(name) from None
