"""How long a turn is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Unit = Literal["steps", "epochs", "seconds"]


@dataclass(frozen=True)
class Quota:
    """After how much a client hands over.

    A turn ends with a whole step, so that it may take a little longer than its seconds.

    Args:
        amount: How many.
        unit: Of what.

    Raises:
        ValueError: Not such a quota.
    """

    amount: float = 1
    unit: Unit = "epochs"

    def __post_init__(self) -> None:
        known = math.isfinite(self.amount) and self.unit in ("steps", "epochs", "seconds")
        if not known or self.amount <= 0 or not (self.unit == "seconds" or self.amount == int(self.amount)):
            raise ValueError(
                "A turn lasts a number of steps, epochs or seconds above 0. "
                f"Received: amount={self.amount}, unit={self.unit!r}."
            )

    @classmethod
    def parse(cls, text: str) -> Quota:
        """From `"epoch"`, `"100"` (steps), `"3 epochs"` or `"30s"`.

        Raises:
            ValueError: None of these.
        """
        words = text.strip().lower() or "?"
        amount, unit = words.rstrip("abcdefghijklmnopqrstuvwxyz ") or "1", words.lstrip("0123456789. ")
        units: dict[str, Unit] = {"": "steps", "step": "steps", "epoch": "epochs"}
        units |= {"s": "seconds", "second": "seconds"}
        try:
            return cls(float(amount), units[unit if unit in units else unit.removesuffix("s")])
        except (KeyError, ValueError):
            raise ValueError(
                "A turn's length is written as `epoch`, `3 epochs`, `100` (steps) or `30s`. "
                f"Received: {text!r}."
            ) from None

    def __str__(self) -> str:
        unit = self.unit.removesuffix("s") if self.amount == 1 else self.unit
        return f"{self.amount:g} {unit}"
