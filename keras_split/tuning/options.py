"""What a trial's model has besides its cut: a second cut, and a decoder with alpha."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras_split.callbacks import SemiSupervised
from keras_split.partition import Cut

Decoder = Callable[[Any, tuple[tuple[int | None, ...], ...]], Any]


@dataclass(frozen=True)
class Options:
    """Further hyperparameters of a split model.

    Args:
        second_cut: None, a name, or names to choose from.
        alpha: Least and greatest weight of the reconstruction, or None.
        decoder: Makes the decoder from the hyperparameters and the shapes of the frontier.

    Raises:
        ValueError: No names, alpha and decoder not given together, or alpha is no pair.
    """

    second_cut: str | Sequence[str] | None
    alpha: tuple[float, float] | None
    decoder: Decoder | None

    def __post_init__(self) -> None:
        if self.second_cut is not None and not (
            self.second_cut and all(isinstance(each, str) for each in self.second_cut)
        ):
            raise ValueError(
                "`second_cut` is None, the name of a layer, or a list of names to choose from. "
                f"Received: second_cut={self.second_cut!r}."
            )
        if (self.alpha is None) != (self.decoder is None):
            raise ValueError(
                "`alpha` weighs what a decoder reconstructs, so the two are given together: "
                "`alpha=(low, high), decoder=function`, where `function(hp, shapes)` makes a model from the "
                f"frontier to the inputs. Received: alpha={self.alpha!r}, decoder={self.decoder!r}."
            )
        if self.alpha is not None and not (len(self.alpha) == 2 and 0 <= self.alpha[0] < self.alpha[1]):
            raise ValueError(f"`alpha` is a pair (low, high) with 0 <= low < high. Received: {self.alpha!r}.")

    def choose_second_cut(self, hp: Any) -> str | None:
        """The trial's, by the hyperparameter `second_cut` where there is a choice."""
        if self.second_cut is None or isinstance(self.second_cut, str):
            return self.second_cut
        return hp.Choice("second_cut", list(self.second_cut))

    def for_model(self, hp: Any, cut: Cut, second_cut: str | None) -> dict[str, Any]:
        """Arguments of `SplitModel`."""
        found: dict[str, Any] = {} if second_cut is None else {"second_cut": second_cut}
        if self.alpha is not None and self.decoder is not None:
            hp.Float("alpha", *self.alpha)
            found["decoder"] = self.decoder(hp, cut.shapes)
        return found

    def callbacks(self, hp: Any) -> list[Any]:
        """Callbacks of `fit`."""
        if self.alpha is None:
            return []
        return [SemiSupervised(alpha=hp.get("alpha"))]
