"""The order in which Keras rebuilds a functional graph, with a ceiling on the work that it takes.

Keras goes round and round over the layers and makes each call whose inputs exist. On a config
written backwards, or with shared layers that feed each other, its work grows with the square of
the calls; this does the same walk on names alone, and refuses what would take too long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keras_split.topology.calls import Call
from keras_split.topology.checks import Refusal

_ATTEMPTS_PER_CALL = 16


def processing_order(
    calls: Mapping[str, tuple[Call, ...]], inputs: frozenset[str]
) -> tuple[tuple[str, int], ...]:
    """Part and number of each call, in Keras' order.

    Args:
        calls: Calls of each part, in the config's order; those of input layers are empty.
        inputs: Names of the input layers.

    Raises:
        Refusal: A call reads what does not exist, the graph has a cycle, or it is too entangled.
    """
    walk = _Walk(calls, inputs)
    while walk.waiting:
        before = len(walk.order)
        for name in list(walk.waiting):
            walk.advance(name)
        if len(walk.order) == before:
            stuck = ", ".join(repr(name) for name in list(walk.waiting)[:5])
            raise Refusal(f"the layers {stuck} wait for one another, or for a call never made")
    return tuple(walk.order)


def check_order(
    wanted: Sequence[Sequence[int]], calls: Mapping[str, tuple[Call, ...]], inputs: frozenset[str]
) -> None:
    """Refuses an order of calls in which one stands in front of what it reads.

    Args:
        wanted: For each call the place of its part, and its number among the calls of this part.
        calls: Calls of each part, in the config's order; those of input layers are empty.
        inputs: Names of the input layers.

    Raises:
        Refusal: It is no order of these calls.
    """
    names = list(calls)
    known = [(at, number) for at, its in enumerate(calls.values()) for number in range(len(its))]
    if sorted(map(tuple, wanted)) != known:
        raise Refusal("not those of the layers. Allowed: each call of each layer once", "calls")
    made: set[tuple[str, int]] = set()
    for at, number in wanted:
        for reference in calls[names[at]][number].references():
            if reference.layer not in inputs and (reference.layer, reference.node) not in made:
                raise Refusal(f"a call of {names[at]!r} stands in front of what it reads", "calls")
        made.add((names[at], number))


class _Walk:
    def __init__(self, calls: Mapping[str, tuple[Call, ...]], inputs: frozenset[str]) -> None:
        self._calls = calls
        self._made = {name: 1 if name in inputs else 0 for name in calls}
        self._attempts_left = _ATTEMPTS_PER_CALL * (64 + sum(map(len, calls.values())))
        self.order: list[tuple[str, int]] = []
        self.waiting = {name: None for name, its in calls.items() if its}

    def advance(self, name: str) -> None:
        """Makes all calls of one part that can be made, in their order."""
        its, done = self._calls[name], self._made[name]
        while done < len(its) and self._is_ready(its[done], name):
            self.order.append((name, done))
            done += 1
            self._made[name] = done
        if done == len(its):
            del self.waiting[name]

    def _is_ready(self, call: Call, name: str) -> bool:
        self._attempts_left -= 1
        if self._attempts_left < 0:
            raise Refusal("the layers are not in the order of their calls. Sort them")
        for reference in call.references():
            if reference.layer not in self._made:
                raise Refusal(f"layer {name!r} reads {reference.layer!r}, which does not exist")
            if reference.node >= self._made[reference.layer]:
                return False
        return True
