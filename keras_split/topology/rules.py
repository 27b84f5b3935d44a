"""What a rule about one class of layer is made of: its options, its call and its effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from keras_split.topology.checks import Check, Options
from keras_split.topology.shapes import Shape


class Kind(Enum):
    """What may stand at one argument of a call."""

    TENSOR = "one tensor"
    OPTIONAL = "one tensor or null"
    TENSORS = "a list of tensors"
    STRUCTURE = "a tensor, or lists and dicts of tensors"
    STATE = "a tensor, a list of tensors, or null"
    MASK = "a mask, a structure of masks, or null"
    FLAG = "true, false or null"
    OPERAND = "a tensor or a finite number"
    INDEX = "integers, slices, null and ellipsis"
    NOTHING = "null"


Signature = tuple[tuple[str, Kind], ...]
Shapes = Mapping[str, Any]
# A window that no copying of values makes small.
MANY = 1 << 62

INPUTS: Signature = (("inputs", Kind.TENSOR), ("training", Kind.FLAG))
INPUTS_AND_MASK: Signature = (("inputs", Kind.TENSOR), ("mask", Kind.MASK))
INPUTS_TRAINING_MASK: Signature = (
    ("inputs", Kind.TENSOR),
    ("training", Kind.FLAG),
    ("mask", Kind.MASK),
)
STRUCTURE_OF_INPUTS: Signature = (
    ("inputs", Kind.STRUCTURE),
    ("training", Kind.FLAG),
    ("mask", Kind.MASK),
)
LIST_OF_INPUTS: Signature = (("inputs", Kind.TENSORS),)


@dataclass(frozen=True)
class Effect:
    """What one call does.

    Args:
        shapes: Shapes of its outputs, in the order in which Keras flattens them.
        parameters: Values of all its weights; they are made at the first call.
        window: How many values of each data input an output value depends on, through weights that
            start from the client's secret; 0 where there are no such weights.
        scratch: Values that are held besides the outputs, for one sample.
    """

    shapes: tuple[Shape, ...]
    parameters: int = 0
    window: int = 0
    scratch: int = 0


Infer = Callable[[Options, Shapes], Effect]


@dataclass(frozen=True)
class Rule:
    """A class that a topology may use.

    Args:
        infer: From checked options and the shapes of the arguments to the effect.
        options: Check of each option, besides the common ones.
        required: Options without a default.
        call: Names and kinds of the arguments, in Keras' order.
        output_dtype: Dtype of the outputs; null means the layer's own, `"input"` that of the
            first tensor.
    """

    infer: Infer
    options: Mapping[str, Check]
    required: frozenset[str] = frozenset()
    call: Signature = INPUTS
    output_dtype: str | None = None


def one_input(shape_of: Callable[[Options, Shape], Shape], argument: str = "inputs") -> Infer:
    """A rule's effect where one tensor goes in, one comes out, and there are no weights."""
    return lambda options, shapes: Effect((shape_of(options, shapes[argument]),))


def unchanged(_: Options, shape: Shape) -> Shape:
    """The shape rule of elementwise layers."""
    return shape


def nothing(*_: Any) -> Effect:
    """The effect of what `evaluation` runs by itself: inputs, models and wrappers."""
    return Effect(())
