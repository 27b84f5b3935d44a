"""In which order members take turns: pure functions, of which a server has one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

# From the members in the roster's order, the last holder and the number of the turn to give out, to all
# members, the one who should have it first.
Order = Callable[[Sequence[str], str, int], list[str]]

ORDERS = ("round-robin", "priority:NAME=NUMBER,…", "random:SEED")


def round_robin(members: Sequence[str], last: str, turn: int) -> list[str]:
    """In the roster's order, beginning behind the last holder (paper, section 3.2)."""
    del turn
    start = members.index(last) + 1 if last in members else 0
    return [*members[start:], *members[:start]]


def priority(weights: dict[str, float]) -> Order:
    """The members of the highest priority first, and among equals round robin; 0 for those not named."""

    def order(members: Sequence[str], last: str, turn: int) -> list[str]:
        return sorted(round_robin(members, last, turn), key=lambda name: -weights.get(name, 0))

    return order


def random_order(seed: str) -> Order:
    """Drawn anew for each turn, the same whoever draws."""

    def order(members: Sequence[str], last: str, turn: int) -> list[str]:
        del last
        return sorted(members, key=lambda name: hashlib.sha256(f"{seed}/{turn}/{name}".encode()).digest())

    return order


def order_of(text: str) -> Order:
    """From `"round-robin"`, `"priority:hospital-a=2,hospital-b=1"` or `"random:seed"`.

    Raises:
        ValueError: None of these.
    """
    kind, _, rest = text.partition(":")
    try:
        if text == "round-robin":
            return round_robin
        if kind == "priority" and rest:
            pairs = (each.split("=") for each in rest.split(","))
            return priority({name.strip(): float(value) for name, value in pairs})
        if kind == "random" and rest:
            return random_order(rest)
    except ValueError:
        pass
    raise ValueError(f"An order of turns is one of {', '.join(ORDERS)}. Received: {text!r}.")
