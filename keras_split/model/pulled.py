"""The head's forward pass, and what pulls on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


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
        pulls = [(tensor, each) for tensor, each in zip(self.kept, kept, strict=False) if each is not None]
        pulls += [(self.smashed[at], each) for at, each in cut.items()]
        pulls += [(term, tf.ones_like(term)) for term in self.local]
        targets, gradients = [list(each) for each in zip(*pulls, strict=True)] or ([], [])
        found = self.tape.gradient(targets, variables, output_gradients=gradients)
        return list(zip(found, variables, strict=True))
