"""The head's forward pass, and what pulls on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_split.segment import arrived, pulled_gradients


@dataclass(frozen=True)
class Pulled:
    """One forward pass of the head under a tape.

    Args:
        tape: That has seen it.
        smashed: Frontier tensors.
        kept: Those that the tail reads.
        local: The head's own loss terms, scaled.
    """

    tape: Any
    smashed: list[Any]
    kept: list[Any]
    local: list[Any]

    def gradients(
        self, variables: Sequence[Any], cut: dict[int, Any], kept: Sequence[Any] = ()
    ) -> list[tuple[Any, Any]]:
        """The head's gradients with their variables (paper, Algorithm 1, line 10).

        Args:
            variables: The head's.
            cut: Cut gradients by the place of their frontier tensor.
            kept: Gradients of the kept tensors, or None for one without.
        """
        if not variables:
            return []
        # The tail comes last in the model and so first in its gradients.
        far = [(self.smashed[at], arrived(each, self.smashed[at])) for at, each in cut.items()]
        far += [(tensor, each) for tensor, each in zip(self.kept, kept, strict=False) if each is not None]
        found = pulled_gradients(self.tape, far, self.local, variables)
        return list(zip(found, variables, strict=True))
