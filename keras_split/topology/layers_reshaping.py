"""Rules of layers that rearrange one tensor or merge several, without weights."""

from __future__ import annotations

from keras_split.topology.checks import (
    Options,
    Refusal,
    axis,
    boolean,
    data_format,
    either,
    integer,
    list_of,
    tuple_of,
)
from keras_split.topology.rules import LIST_OF_INPUTS, Effect, Rule, Shapes, one_input
from keras_split.topology.shapes import (
    ONE,
    Dim,
    Shape,
    at_rank,
    broadcast,
    concatenated,
    index,
    product,
    reshaped,
    text,
)


def _flatten(_: Options, shape: Shape) -> Shape:
    return (shape[0], product(shape[1:]))


def _reshape(options: Options, shape: Shape) -> Shape:
    return (shape[0], *reshaped(shape[1:], options["target_shape"]))


def _permute(options: Options, shape: Shape) -> Shape:
    dims = options["dims"]
    if sorted(dims) != list(range(1, len(shape))):
        raise Refusal(f"dims {dims} does not permute an input of shape {text(shape)}")
    return (shape[0], *(shape[at] for at in dims))


def _repeat(options: Options, shape: Shape) -> Shape:
    at_rank(shape, 2)
    return (shape[0], Dim(options["n"]), shape[1])


def _merge(_: Options, shapes: Shapes) -> Effect:
    # Keras puts the missing dimensions of shorter inputs right after the batch.
    batch, rests = shapes["inputs"][0][0], [shape[1:] for shape in shapes["inputs"]]
    return Effect(((batch, *broadcast(*rests)),))


def _concatenate(options: Options, shapes: Shapes) -> Effect:
    return Effect((concatenated(shapes["inputs"], options.get("axis", -1)),))


def _dot(options: Options, shapes: Shapes) -> Effect:
    if len(shapes["inputs"]) != 2:
        raise Refusal("it takes exactly two inputs")
    left, right = shapes["inputs"]
    named = options["axes"]
    pair = named if isinstance(named, list) else [named, named]
    at_left, at_right = index(left, pair[0]), index(right, pair[1])
    if not at_left or not at_right:
        raise Refusal(f"axes {named} name the batch")
    rest = (*left[:at_left], *left[at_left + 1 :], *right[1:at_right], *right[at_right + 1 :])
    return Effect((rest if len(rest) > 1 else (*rest, ONE),))


_MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")

RULES: dict[str, Rule] = {
    "Flatten": Rule(one_input(_flatten), {"data_format": data_format}),
    "Reshape": Rule(one_input(_reshape), {"target_shape": list_of(integer(-1))}, frozenset({"target_shape"})),
    "Permute": Rule(one_input(_permute), {"dims": list_of(integer(1))}, frozenset({"dims"})),
    "RepeatVector": Rule(one_input(_repeat), {"n": integer(1)}, frozenset({"n"})),
    **{name: Rule(_merge, {}, call=LIST_OF_INPUTS) for name in _MERGES},
    "Concatenate": Rule(_concatenate, {"axis": axis}, call=LIST_OF_INPUTS),
    "Dot": Rule(
        _dot,
        {"axes": either(tuple_of(axis, 2), axis), "normalize": boolean},
        frozenset({"axes"}),
        call=LIST_OF_INPUTS,
    ),
}
