"""The head's forward pass, and what pulls on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_split.model.labelled import Labelled
from keras_split.model.made import Made
from keras_split.model.reconstruction import Reconstruction
from keras_split.segment import arrived, pulled_gradients


@dataclass(frozen=True)
class Pulled:
    """One forward pass of the head under a tape.

    Args:
        tape: That has seen it.
        made: What it has made.
        smashed: Frontier tensors, and what else of it the server has gradients for.
        kept: Those that the tail reads, and what else of it the tail has gradients for.
        local: The head's own loss terms, scaled.
        rows: Which rows have labels; None where all have.
        reconstruction: Of the inputs, or None without a decoder.
    """

    tape: Any
    made: Made
    smashed: list[Any]
    kept: list[Any]
    local: list[Any]
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

    def gradients(
        self, variables: Sequence[Any], cut: dict[int, Any], kept: Sequence[Any] = ()
    ) -> list[tuple[Any, Any]]:
        """The head's gradients with their variables (paper, Algorithm 1, line 10; Eq. 1).

        Args:
            variables: The head's.
            cut: Cut gradients by the place of their frontier tensor.
            kept: Gradients of the kept tensors, or None for one without.
        """
        if not variables:
            return []
        pulls = {at: self._among_all(each, self.smashed[at]) for at, each in cut.items()}
        if self.reconstruction is not None:
            pulls = self.reconstruction.added_to(pulls)
        far = [(self.smashed[at], each) for at, each in pulls.items()]
        far += [
            (tensor, self._among_all(each, tensor))
            for tensor, each in zip(self.kept, kept, strict=False)
            if each is not None
        ]
        found = pulled_gradients(self.tape, far, self.local, variables)
        return list(zip(found, variables, strict=True))

    def _among_all(self, gradient: Any, tensor: Any) -> Any:
        if self.rows is None:
            return arrived(gradient, tensor)
        return self.rows.among_all(gradient, tensor)
