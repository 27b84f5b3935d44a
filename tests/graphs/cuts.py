"""Random cuts of a random model."""

from __future__ import annotations

import random
from dataclasses import replace

import keras

from graphs.draft import Draft
from keras_split.partition import legal_cut_names
from keras_split.partition.cuts import cut_is_legal

Names = tuple[str, ...]


def with_cuts(draft: Draft) -> Draft | None:
    """The draft with one of its cuts, and often a second one; None for a model that has none."""
    drawn = random.Random(draft.seed)
    model = draft.build()
    mine = [step.name for step in draft.steps if step.is_layer and not step.shares]
    single: list[Names] = [(name,) for name in _among(legal_cut_names(model), mine)]
    pairs = _pairs(drawn, model, mine)
    found = pairs if pairs and (drawn.random() < 0.25 or not single) else single
    if not found:
        return None
    cut = drawn.choice(found)
    behind = _among(legal_cut_names(model, cut), mine) if drawn.random() < 0.4 else []
    return replace(draft, cut=cut, second_cut=(drawn.choice(behind),) if behind else ())


def _pairs(drawn: random.Random, model: keras.Model, mine: list[str]) -> list[Names]:
    tried = [tuple(sorted(drawn.sample(mine, 2))) for _ in range(6)] if len(mine) > 2 else []
    return [each for each in dict.fromkeys(tried) if cut_is_legal(model, each)]


def _among(names: list[str], mine: list[str]) -> list[str]:
    return [each for each in names if each in mine]
