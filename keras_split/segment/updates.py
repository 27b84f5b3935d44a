"""What an optimizer does once gradients are there, on either side of a cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def apply_gradients(optimizer: Any, gradients: Sequence[tuple[Any, Any]]) -> None:
    """Updates variables; a part that has none to train counts the update as well.

    Args:
        optimizer: Keras optimizer.
        gradients: Pairs of a gradient and its variable; none of a frozen part.
    """
    if gradients:
        optimizer.apply_gradients(gradients)
    else:
        # Schedules count iterations, of which Keras' own property makes a quotient where gradients are
        # accumulated.
        optimizer._iterations.assign_add(1)
