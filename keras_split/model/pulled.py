"""The head's forward pass, and what pulls on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from keras_split.model.labelled import Labelled
from keras_split.model.made import Made
from keras_split.model.reconstruction import Reconstruction
from keras_split.model.reply import Reply
from keras_split.segment import Tape, arrived, key_of, roots_of

Variables = Sequence[Any]
Pairs = list[tuple[Any, Any]]


@dataclass(frozen=True)
class Pulled:
    """One forward pass of the head on a tape.

    Args:
        tape: That has seen it.
        made: What it has made.
        smashed: Frontier tensors, and what else of it the server has gradients for.
        kept: Those that the tail reads, and what else of it the tail has gradients for.
        local: The head's own loss terms with their ranks, scaled.
        rows: Which rows have labels; None where all have.
        reconstruction: Of the inputs, or None without a decoder.
    """

    tape: Tape
    made: Made
    smashed: list[Any]
    kept: list[Any]
    local: list[tuple[tuple[int, ...], Any]]
    rows: Labelled | None = None
    reconstruction: Reconstruction | None = None

    def labelled(self, tensors: Any) -> Any:
        """What of a batch takes part in the exchange."""
        return tensors if self.rows is None else self.rows.of(tensors)

    @property
    def sent(self) -> Made:
        """What of the head's takes part in it."""
        made = self.made
        return Made(*self.labelled((made.smashed, made.kept, dict(made.logits))))

    def shared_gradients(self, variables: Variables, reply: Reply) -> Pairs:
        """The head's gradients where the server has the labels (paper, Algorithm 1, line 10; Eq. 1)."""
        if not variables:
            return []
        theirs = reply.shadow
        keys = self.tape.cast(theirs, self.smashed, self.arriving(lambda: reply))
        terms = [(rank, keys[number]) for rank, number in theirs.terms if number is not None]
        data = None if theirs.data is None else keys[theirs.data]
        return self.gradients(variables, roots_of(data, [*terms, *self.local]))

    def gradients(self, variables: Variables, roots: Sequence[tuple[Any, Any]]) -> Pairs:
        """Gradients with their variables, once the tape knows all operations behind the head."""
        values = [each.value for each in variables]
        added = {} if self.reconstruction is None else self.reconstruction.added_to(self.smashed)
        found = self.tape.pull(roots, sources=values, added={key_of(t): f for t, f in added})
        return [(found.of(each), variable) for each, variable in zip(values, variables, strict=True)]

    def arriving(self, reply: Callable[[], Reply]) -> Callable[[int, Any], Any]:
        """Takes gradients from the other party, each of which may be one of several tensors."""
        taken: dict[int, Any] = {}

        def arrive(place: int, tensor: Any) -> Any:
            if place not in taken:
                name, tied = reply().shadow.made[place]
                own = partial(arrived, name=name, tied=tied)
                taken[place] = self.among_all(reply().cut_gradients[place], tensor, own)
            return taken[place]

        return arrive

    def among_all(self, gradient: Any, tensor: Any, of_all: Callable[[Any, Any], Any] | None = None) -> Any:
        """A gradient of the labelled rows, as one of all rows of a tensor.

        Args:
            gradient: Of those of them that took part in the exchange.
            tensor: Of all rows.
            of_all: What becomes of a gradient where all rows took part.
        """
        if self.rows is not None:
            return self.rows.among_all(gradient, tensor)
        return gradient if of_all is None else of_all(gradient, tensor)
