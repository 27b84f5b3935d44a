"""What one party of a model tells the other about its operations: which read what, and no more."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from keras_split.errors import ProtocolError

# A whole ResNet152 has some 1,500.
_MAX_STEPS = 1 << 16
_MAX_READS = 1 << 18
_MAX_DEPTH = 16
_MAX_NAME = 1024
_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")

Rank = tuple[int, ...]


def known_name(name: str) -> str:
    """A name that another party has for an operation, if TensorFlow takes it; else none."""
    return name if len(name) <= _MAX_NAME and _NAME.fullmatch(name) else ""


class Leaf(NamedTuple):
    """A gradient that goes to the other party.

    Args:
        number: Of the tensor at the cut that it is a gradient of, or an addend of one.
        tensor: In the graph.
    """

    number: int
    tensor: Any


@dataclass(frozen=True)
class ShadowStep:
    """One operation.

    Args:
        reads: Numbers of those of its inputs that depend on the shadow's inputs.
        makes: How many outputs it has, which have the next numbers.
        gives: For each of `reads`, what a backward pass gives to it: None for nothing; True for a gradient
            that stays there; for an input of the shadow the place of a gradient that is sent, or a list of
            such places and lists, whose sum it is.
    """

    reads: tuple[int, ...]
    makes: int
    gives: tuple[Any, ...]


@dataclass(frozen=True)
class Shadow:
    """The operations of one party's part, in their order.

    The tensors have numbers: first those that come from the other party.

    Args:
        steps: The operations.
        data: Number of the loss of the data; None where it is not computed there from these inputs.
        terms: Ranks of the part's further loss terms, and their numbers or None.
        outputs: Numbers of the tensors that go to the other party, or None.
        made: For each gradient that is sent the operation that made it, and whether TensorFlow can tell that
            it has as many rows as its tensor.
    """

    steps: tuple[ShadowStep, ...] = ()
    data: int | None = None
    terms: tuple[tuple[Rank, int | None], ...] = ()
    outputs: tuple[int | None, ...] = ()
    made: tuple[tuple[str, bool], ...] = ()

    def to_text(self) -> str:
        """JSON, for the wire."""
        steps = [[step.reads, step.makes, step.gives] for step in self.steps]
        return json.dumps([steps, self.data, self.terms, self.outputs, self.made], separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str, inputs: int, leaves: int) -> Shadow:
        """Reads what another party has written.

        Args:
            text: JSON; empty for no operations.
            inputs: How many tensors come from this side.
            leaves: How many gradients are sent.

        Raises:
            ProtocolError: It is none, or has numbers that stand for nothing.
        """
        if not text and not leaves:
            return cls()
        try:
            return _Reader(inputs, leaves).read(json.loads(text))
        except (ValueError, TypeError, RecursionError):
            raise ProtocolError(
                "The description of the other side's operations makes no sense. Do both sides run the same "
                "version?"
            ) from None


class _Reader:
    """Checks each number against those that there are."""

    def __init__(self, inputs: int, leaves: int):
        self._inputs, self._leaves = inputs, leaves
        self._count = inputs
        self._reads = 0

    def read(self, value: Any) -> Shadow:
        steps, data, terms, outputs, made = value
        if len(steps) > _MAX_STEPS:
            raise ValueError
        found = tuple(self._step(*each) for each in steps)
        ranked = tuple((self._rank(rank), self._number(number)) for rank, number in terms)
        if len(made) != self._leaves or not all(type(n) is str and type(tied) is bool for n, tied in made):
            raise ValueError
        known = tuple((known_name(name), tied) for name, tied in made)
        return Shadow(found, self._number(data), ranked, tuple(map(self._number, outputs)), known)

    def _step(self, reads: Any, makes: Any, gives: Any) -> ShadowStep:
        self._reads += len(reads)
        if type(makes) is not int or not 0 <= makes <= _MAX_STEPS or self._reads > _MAX_READS:
            raise ValueError
        read = tuple(self._place(each, self._count) for each in reads)
        given = tuple(self._gives(each, number) for each, number in zip(gives, read, strict=True))
        self._count += makes
        if self._count > _MAX_READS:
            raise ValueError
        return ShadowStep(read, makes, given)

    def _gives(self, tree: Any, number: int, depth: int = 0) -> Any:
        if depth == 0 and (tree is None or (tree is True and number >= self._inputs)):
            return tree
        if number >= self._inputs or depth > _MAX_DEPTH:
            raise ValueError
        if type(tree) is list and tree:
            self._reads += len(tree)
            if self._reads > _MAX_READS:
                raise ValueError
            return [self._gives(each, number, depth + 1) for each in tree]
        return self._place(tree, self._leaves)

    def _number(self, value: Any) -> int | None:
        return None if value is None else self._place(value, self._count)

    def _rank(self, value: Any) -> Rank:
        if type(value) is not list or len(value) > 4:
            raise ValueError
        return tuple(self._place(each, 1 << 40) for each in value)

    def _place(self, value: Any, end: int) -> int:
        if type(value) is not int or not 0 <= value < end:
            raise ValueError
        return value
