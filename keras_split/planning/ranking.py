"""What is planned: a model's cuts with their predicted steps, the fastest first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_split.planning.conditions import Conditions
from keras_split.planning.planned import PlannedCut
from keras_split.planning.plot import draw
from keras_split.planning.table import to_text


@dataclass(frozen=True)
class Plan:
    """Predicted steps of a model under given conditions.

    Args:
        model: Its name.
        conditions: That the times hold for.
        cuts: The fastest first.
        second_cut: Behind which the client's part begins again; empty where labels are shared.
    """

    model: str
    conditions: Conditions
    cuts: tuple[PlannedCut, ...]
    second_cut: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What is planned."""
        return (
            f"{self.model}, labels kept behind {' + '.join(self.second_cut)}"
            if self.second_cut
            else self.model
        )

    @property
    def best(self) -> PlannedCut:
        """The fastest; it need not be the one that shows the server least."""
        return self.cuts[0]

    def draw(self, path: str | Path, most: int = 20) -> None:
        """Draws a bar for each cut, made of its parts.

        Args:
            path: Of the picture; its ending says which kind (`.png`, `.svg`, `.pdf`).
            most: Bars; slower cuts are left out, and the picture says how many.

        Raises:
            ValueError: No bar is wanted, or the ending is none that Matplotlib knows.
        """
        if most < 1:
            raise ValueError(f"A picture has at least one bar. Received: most={most!r}.")
        draw(f"{self.title}: predicted time of a step", str(self.conditions), self.cuts, Path(path), most)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, in plain units."""
        return {
            "model": self.model,
            "second_cut": list(self.second_cut),
            "conditions": asdict(self.conditions),
            "cuts": [each.to_dict() for each in self.cuts],
        }

    def __str__(self) -> str:
        return f"{self.title}, {self.conditions}\n\n{to_text(self.cuts)}"
