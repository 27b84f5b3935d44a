"""The graph between two places of a model, where a tensor may go straight through."""

from __future__ import annotations

from typing import Any

import keras
from keras import tree


def between(inputs: list[Any], outputs: Any, name: str) -> keras.Model:
    """A model of what is computed between some tensors and others; shares its layers.

    Keras takes such a part out by copying its nodes, and loses the way where an output is an input
    itself. So the part is made without these first, and then they are joined to its own inputs.

    Args:
        inputs: Symbolic tensors inside a model.
        outputs: Nest of symbolic tensors, at least one of them computed from the inputs.
        name: Of the part.
    """
    places = {id(each): at for at, each in enumerate(inputs)}
    flat = tree.flatten(outputs)
    computed = [each for each in flat if id(each) not in places]
    if len(computed) == len(flat):
        return keras.Model(inputs, outputs, name=name)
    part = keras.Model(inputs, computed)
    made = iter(part.outputs)
    whole = [part.inputs[places[id(each)]] if id(each) in places else next(made) for each in flat]
    return keras.Model(part.inputs, tree.pack_sequence_as(outputs, whole), name=name)
