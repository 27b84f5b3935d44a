"""What the head has made for those who come after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Made:
    """Tensors of one forward pass of the head.

    Args:
        smashed: Frontier tensors.
        kept: Those that the tail reads.
        logits: Of such tensors as are outputs of the model. Where labels are shared, by their places
            among the smashed ones; where not, by their places in the second frontier.
    """

    smashed: list[Any]
    kept: list[Any]
    logits: Mapping[int, Any]

    def pulled_on(self, *, shares_labels: bool) -> tuple[list[Any], list[Any]]:
        """Tensors that the server and the tail have gradients for, in the order in which these come."""
        behind = list(self.logits.values())
        if shares_labels:
            return [*self.smashed, *behind], self.kept
        return self.smashed, [*self.kept, *behind]
