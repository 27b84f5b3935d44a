"""The choice of the cut as a hyperparameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras_tuner.errors import FatalValueError

from keras_split.partition import legal_cut_names, why_no_cut

Cuts = Literal["all"] | Sequence[str | Sequence[str]]


def check_cuts(cuts: Any) -> None:
    """Raises ValueError unless `cuts` is `"all"` or a list."""
    if cuts != "all" and (isinstance(cuts, str) or not cuts):
        raise ValueError(
            '`cuts` is "all", or a list of names of layers (an entry may be a list itself, where one '
            f"layer does not separate the inputs from the rest). Received: cuts={cuts!r}."
        )


def choose_cut(hp: Any, model: keras.Model, cuts: Cuts) -> str | list[str]:
    """The trial's cut, by the hyperparameter `cut`.

    Args:
        hp: The trial's hyperparameters.
        model: As it was built for the trial.
        cuts: What to choose from; `"all"` for every legal cut by a single name.

    Raises:
        FatalValueError: The choice was made among the layers of another model.
    """
    legal = legal_cut_names(model)
    named = {", ".join(_names(each)): _names(each) for each in (legal if cuts == "all" else cuts)}
    if not named:
        raise FatalValueError(why_no_cut(model))
    chosen = hp.Choice("cut", list(named))
    if chosen not in named or (len(named[chosen]) == 1 and chosen not in legal):
        raise FatalValueError(_not_there(chosen, model, legal))
    return named[chosen][0] if len(named[chosen]) == 1 else named[chosen]


def _names(cut: str | Sequence[str]) -> list[str]:
    return [cut] if isinstance(cut, str) else list(cut)


def _not_there(chosen: str, model: keras.Model, legal: list[str]) -> str:
    return (
        f"This trial's model cannot be cut at {chosen!r}; it can at {', '.join(map(repr, legal)) or 'none'}. "
        "The layers at which a search cuts must have the same names in every trial: give each layer a "
        f"`name=`, and where some models lack a layer, list the common ones as `cuts=[...]`. Received: "
        f"cut={chosen!r} for the model {model.name!r}."
    )
