"""Rules of layers that multiply features by a matrix: Dense, EinsumDense and Embedding."""

from __future__ import annotations

import math
import re
from typing import Any

from keras_split.topology.checks import (
    Check,
    Options,
    Refusal,
    boolean,
    either,
    integer,
    list_of,
    null,
    optional,
    refused,
)
from keras_split.topology.objects import activation, vectors, weights
from keras_split.topology.rules import MANY, Effect, Rule, Shapes
from keras_split.topology.shapes import Dim, Shape, at_rank, fixed

_LETTERS = "([a-zA-Z]{1,8})"
_TERM = rf"(\.\.\.)?{_LETTERS}(\.\.\.)?"
_EQUATION = re.compile(f"{_TERM},{_LETTERS}->{_TERM}")


def _dense(options: Options, shapes: Shapes) -> Effect:
    shape, units = at_rank(shapes["inputs"], *range(2, 9)), options["units"]
    width = fixed(shape[-1], "last dimension")
    count = width * units + (units if options.get("use_bias", True) else 0)
    # On an image of one channel, a Dense layer would scale each pixel and hide nothing.
    return Effect(((*shape[:-1], Dim(units)),), count, window=width)


def _embedding(options: Options, shapes: Shapes) -> Effect:
    rows, width = options["input_dim"], options["output_dim"]
    return Effect(((*shapes["inputs"], Dim(width)),), rows * width, window=MANY)


def _equation(value: Any) -> str:
    match = _EQUATION.fullmatch(value) if type(value) is str else None
    if match is None:
        raise refused(value, "an equation such as 'abc,cd->abd' or '...x,xy->...y'")
    lefts, rights = (match[1], match[5]), (match[3], match[7])
    if bool(lefts[0]) != bool(lefts[1]) or bool(rights[0]) != bool(rights[1]):
        raise refused(value, "'...' on the same side of input and output")
    if lefts[0] and rights[0] or any(len(set(match[at])) < len(match[at]) for at in (2, 4, 6)):
        raise refused(value, "one '...' at most, and each letter once")
    if not lefts[0] and match[2][0] != match[6][0]:
        raise refused(value, "the batch as the first letter of input and output")
    return value


def _einsum(options: Options, shapes: Shapes) -> Effect:
    match = _EQUATION.fullmatch(options["equation"])
    assert match is not None  # `_equation` has read it.
    shape, (inner, kernel, outer) = shapes["inputs"], (match[2], match[4], match[6])
    output = _einsum_output(options, shape, inner, from_left=bool(match[1]))
    lead = len(shape) - len(inner) if match[1] else 0
    if len(output) != len(outer) + len(shape) - len(inner):
        raise Refusal(f"{options['equation']!r} does not fit an input of {len(shape)} dimensions")
    sizes = dict(zip(inner, shape[lead:], strict=False))
    for at, letter in enumerate(outer, lead):
        # A size that the config leaves open is counted as that of the same letter in the input.
        open_size = sizes.get(letter, output[at]).size
        sizes[letter] = output[at] if output[at].known else Dim(open_size, known=False)
    output = (*output[:lead], *(sizes[letter] for letter in outer), *output[lead + len(outer) :])
    if not set(kernel) <= sizes.keys():
        raise Refusal(f"{options['equation']!r} has a kernel letter of no known size")
    return _einsum_effect(options, output, sizes, kernel, contracted=set(kernel) - set(outer))


def _einsum_output(options: Options, shape: Shape, inner: str, *, from_left: bool) -> Shape:
    """Keras' rule: the batch, what the ellipsis covers, and the sizes that the config names."""
    named = options["output_shape"]
    elided = len(shape) - len(inner)
    if elided < 0:
        raise Refusal(f"{options['equation']!r} asks for an input of {len(inner)} dimensions")
    tail = [
        Dim(1, known=False) if size is None else Dim(size)
        for size in (named if isinstance(named, list) else [named])
    ]
    if from_left:
        return (*shape[: max(elided, 1)], *tail)
    return (shape[0], *tail, *shape[len(shape) - elided :])


def _einsum_effect(
    options: Options, output: Shape, sizes: dict[str, Dim], kernel: str, contracted: set[str]
) -> Effect:
    count = math.prod(fixed(sizes[letter], f"dimension {letter!r}") for letter in kernel)
    biases = options.get("bias_axes") or ""
    if not set(biases) <= sizes.keys():
        raise Refusal(f"bias_axes {biases!r} names letters that the output does not have")
    bias = math.prod(fixed(sizes[letter], f"dimension {letter!r}") for letter in biases)
    window = math.prod(sizes[letter].size for letter in contracted) if contracted else 0
    return Effect((output,), count + (bias if biases else 0), window)


def _bias_axes(value: Any) -> str:
    if type(value) is str and re.fullmatch("[a-zA-Z]{1,8}", value):
        return value
    raise refused(value, "letters of the output")


_KERNEL: dict[str, Check] = {
    "activation": activation,
    **weights("kernel"),
    **vectors("bias"),
    "quantization_config": null,
}

RULES: dict[str, Rule] = {
    "Dense": Rule(_dense, {"units": integer(1), "use_bias": boolean, **_KERNEL}, frozenset({"units"})),
    "EinsumDense": Rule(
        _einsum,
        {
            "equation": _equation,
            "output_shape": either(list_of(optional(integer(1)), 1), integer(1)),
            "bias_axes": optional(_bias_axes),
            **_KERNEL,
        },
        frozenset({"equation", "output_shape"}),
    ),
    "Embedding": Rule(
        _embedding,
        {
            "input_dim": integer(1),
            "output_dim": integer(1),
            "mask_zero": boolean,
            "quantization_config": null,
            **weights("embeddings"),
        },
        frozenset({"input_dim", "output_dim"}),
    ),
}
