"""Rules of the two wrappers; `evaluation` runs the layers inside them."""

from __future__ import annotations

from keras_split.topology.checks import choice
from keras_split.topology.layers_recurrent import SEQUENCE
from keras_split.topology.rules import INPUTS_TRAINING_MASK, Rule, nothing

BIDIRECTIONAL = Rule(nothing, {"merge_mode": choice("concat", "sum", "mul", "ave", None)}, call=SEQUENCE)
TIME_DISTRIBUTED = Rule(nothing, {}, call=INPUTS_TRAINING_MASK)
