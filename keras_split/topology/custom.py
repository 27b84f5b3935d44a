"""Layers of the client's own, which it has registered and named: their code is trusted.

Their options are not, since the server sends them: plain, bounded values and Keras' own
initialisers, regularisers and constraints. What such a layer does to shapes is unknown here; the
shape that the config declares for its output is believed, and the number of its weights is
estimated from the largest numbers around it.
"""

from __future__ import annotations

import math
import re
from typing import Any

from keras_split.topology.calls import leaves
from keras_split.topology.checks import (
    Check,
    Options,
    Refusal,
    boolean,
    either,
    integer,
    list_of,
    number,
    optional,
    printable_name,
    refused,
)
from keras_split.topology.objects import (
    COMMON,
    constraint,
    initializer,
    kernel_initializer,
    regularizer,
)
from keras_split.topology.rules import MANY, STRUCTURE_OF_INPUTS, Effect, Rule, Shapes

_INTEGER = integer(-(1 << 16), 1 << 16)
_SCALAR = optional(either(boolean, number()))
_OBJECTS: dict[str, Check] = {
    "keras.initializers": initializer,
    "keras.regularizers": regularizer,
    "keras.constraints": constraint,
}


# A bias may start at zero, and so may what only shifts or scales; any other weight must be drawn.
_MAY_START_AT_A_CONSTANT = re.compile("bias|beta|gamma|alpha|scale|moving")


def custom_rule(layer_class: type, config: Options) -> tuple[Rule, Options]:
    """The rule and the checked options of a layer of the client's own.

    Args:
        layer_class: Counts as mixing if its attribute `mixes_inputs` is true.
        config: Options as received.

    Raises:
        Refusal: An option is neither plain nor one of Keras' objects.
    """
    options = {name: _read(name, value) for name, value in config.items()}
    mixes = getattr(layer_class, "mixes_inputs", False) is True
    named = [abs(each) for each in leaves(options, int) if type(each) is int]

    def infer(_: Options, shapes: Shapes) -> Effect:
        sizes = sorted([1, *named, *_widths(shapes.get("inputs"))])
        return Effect((), 4 * math.prod(sizes[-2:]), window=MANY if mixes else 0)

    return Rule(infer, {}, call=STRUCTURE_OF_INPUTS), options


def _widths(shapes: Any) -> list[int]:
    """Last dimensions of a structure of shapes, which are tuples."""
    if isinstance(shapes, tuple):
        return [shapes[-1].size] if shapes else []
    many = shapes.values() if isinstance(shapes, dict) else shapes or []
    return [width for each in many for width in _widths(each)]


def _read(name: str, value: Any) -> Any:
    if name == "seed":
        return None
    try:
        if name in COMMON:
            return COMMON[name](value)
        return _plain(value, is_kernel=not _MAY_START_AT_A_CONSTANT.search(name))
    except Refusal as refusal:
        raise refusal.under(ascii(name)) from None


def _plain(value: Any, *, is_kernel: bool) -> Any:
    if type(value) is dict:
        return _object(value, is_kernel)
    if type(value) is list:
        return list_of(lambda each: _plain(each, is_kernel=is_kernel), 0, 64)(value)
    if type(value) is str:
        return printable_name(value)
    return _INTEGER(value) if type(value) is int else _SCALAR(value)


def _object(value: Options, is_kernel: bool) -> Any:
    module = str(value.get("module"))
    if module not in _OBJECTS:
        raise refused(value, f"an object of {', '.join(_OBJECTS)}")
    if is_kernel and module == "keras.initializers":
        return kernel_initializer(value)
    return _OBJECTS[module](value)
