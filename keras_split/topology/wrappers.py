"""Rules of the two wrappers; `evaluation` runs the layers inside them."""

from __future__ import annotations

from typing import Any

from keras_split.topology.checks import choice
from keras_split.topology.layers_recurrent import SEQUENCE
from keras_split.topology.rules import Effect, Kind, Rule


def _nothing(*_: Any) -> Effect:
    return Effect(())


BIDIRECTIONAL = Rule(
    _nothing, {"merge_mode": choice("concat", "sum", "mul", "ave", None)}, call=SEQUENCE
)
TIME_DISTRIBUTED = Rule(
    _nothing, {}, call=(("inputs", Kind.TENSOR), ("training", Kind.FLAG), ("mask", Kind.MASK))
)
