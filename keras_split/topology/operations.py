"""Rules of the operations that stand between layers: masks, arithmetic and reshaping.

Keras writes `x + 1`, `ops.relu(x)` or the mask of an `Embedding` as nodes of their own, named by
a module inside Keras. Each operation here is looked up by that module and its class, and no name
reaches an import.
"""

from __future__ import annotations

from collections.abc import Mapping

from keras_split.topology.checks import (
    Check,
    Options,
    Refusal,
    axes,
    axis,
    boolean,
    choice,
    integer,
    list_of,
    null,
    number,
    optional,
    tuple_of,
    words,
)
from keras_split.topology.indexing import indexed
from keras_split.topology.objects import SLOPE, TENSOR_DTYPES
from keras_split.topology.rules import (
    Effect,
    Infer,
    Kind,
    Rule,
    Shapes,
    Signature,
    one_input,
    unchanged,
)
from keras_split.topology.shapes import (
    ONE,
    Dim,
    Shape,
    broadcast,
    concatenated,
    index,
    indices,
    replaced,
    reshaped,
    shifted,
    text,
)

_X: Signature = (("x", Kind.TENSOR),)
_X1_X2: Signature = (("x1", Kind.OPERAND), ("x2", Kind.OPERAND))
_XS: Signature = (("xs", Kind.TENSORS),)
_DTYPE = optional(choice(*TENSOR_DTYPES))


def _aligned(shapes: list[Shape]) -> list[Shape]:
    """Tensors of equal rank, and numbers: a shorter tensor's batch would meet another dimension."""
    if len({len(shape) for shape in shapes if shape}) > 1:
        raise Refusal(f"it gets {', '.join(map(text, shapes))}. Allowed: tensors of one rank, and numbers")
    return shapes


def _unary(options: Mapping[str, Check] | None = None, dtype: str = "input") -> Rule:
    infer = one_input(unchanged, "x")
    return Rule(infer, options or {}, output_dtype=dtype, call=_X)


def _binary(dtype: str = "input", names: tuple[str, ...] = ("x1", "x2")) -> Rule:
    def infer(_: Options, shapes: Shapes) -> Effect:
        return Effect((broadcast(*_aligned([shapes[name] for name in names])),))

    call = tuple((name, Kind.OPERAND) for name in names)
    return Rule(infer, {}, output_dtype=dtype, call=call)


def _rule(infer: Infer, options: Mapping[str, Check], call: Signature = _X) -> Rule:
    return Rule(infer, options, output_dtype="input", call=call)


def _reduced(options: Options, shapes: Shapes) -> Effect:
    shape = shapes["x"]
    gone = indices(shape, options.get("axis"))
    if 0 in gone:
        raise Refusal("it would reduce the batch. Allowed: the axes behind it", "axis")
    if options.get("keepdims", False):
        kept = tuple(ONE if at in gone else dim for at, dim in enumerate(shape))
    else:
        kept = tuple(dim for at, dim in enumerate(shape) if at not in gone)
    return Effect((kept,))


def _reshape(options: Options, shapes: Shapes) -> Effect:
    if options["newshape"][0] != -1:
        raise Refusal(f"{options['newshape']}. Allowed: -1 for the batch, and sizes behind it", "newshape")
    return Effect((reshaped(shapes["x"], options["newshape"]),))


def _transpose(options: Options, shapes: Shapes) -> Effect:
    shape = shapes["x"]
    order = options.get("axes") or list(range(len(shape)))[::-1]
    if sorted(order) != list(range(len(shape))) or order[0] != 0:
        raise Refusal(f"axes {order} does not permute {text(shape)} behind its batch")
    return Effect((tuple(shape[at] for at in order),))


def _behind_batch(shape: Shape, axis: int) -> int:
    """The place of a new dimension."""
    place = index((*shape, ONE), axis)
    if place == 0:
        raise Refusal("it puts a dimension before the batch. Allowed: places behind it", "axis")
    return place


def _expand(options: Options, shapes: Shapes) -> Effect:
    shape = shapes["x"]
    named = options["axis"]
    for at in named if isinstance(named, list) else [named]:
        place = _behind_batch(shape, at)
        shape = (*shape[:place], ONE, *shape[place:])
    return Effect((shape,))


def _squeeze(options: Options, shapes: Shapes) -> Effect:
    shape: Shape = shapes["x"]
    named = options.get("axis")
    gone = [at for at, dim in enumerate(shape) if dim == ONE] if named is None else None
    gone = indices(shape, named) if gone is None else gone
    if any(shape[at] != ONE for at in gone):
        raise Refusal(f"axis {named} of {text(shape)} is not 1")
    return Effect((tuple(dim for at, dim in enumerate(shape) if at not in gone),))


def _stack(options: Options, shapes: Shapes) -> Effect:
    joined = broadcast(*_aligned(shapes["xs"]))
    at = _behind_batch(joined, options.get("axis", 0))
    return Effect(((*joined[:at], Dim(len(shapes["xs"])), *joined[at:]),))


def _concatenate(options: Options, shapes: Shapes) -> Effect:
    return Effect((concatenated(shapes["xs"], options.get("axis", -1)),))


def _split(options: Options, shapes: Shapes) -> Effect:
    shape, parts = shapes["x"], options["indices_or_sections"]
    at = index(shape, options.get("axis", 0))
    if shape[at].size % parts or not shape[at].known:
        raise Refusal(f"{parts} parts do not divide dimension {at} of {text(shape)}")
    return Effect((replaced(shape, at, Dim(shape[at].size // parts)),) * parts)


def _pad(options: Options, shapes: Shapes) -> Effect:
    shape, widths = shapes["x"], options["pad_width"]
    if len(widths) != len(shape) or widths[0] != [0, 0]:
        raise Refusal(f"pad_width {widths} does not fit {text(shape)}, or pads the batch")
    pairs = zip(shape, widths, strict=True)
    return Effect((tuple(shifted(dim, low + high) for dim, (low, high) in pairs),))


def _matmul(_: Options, shapes: Shapes) -> Effect:
    left, right = shapes["x1"], shapes["x2"]
    if len(left) < 3 or len(left) != len(right):
        raise Refusal(f"it gets shapes {text(left)} and {text(right)}. Allowed: equal ranks of 3 and more")
    return Effect(((*broadcast(left[:-2], right[:-2]), left[-2], right[-1]),))


def _get_item(_: Options, shapes: Shapes) -> Effect:
    return Effect((indexed(shapes["x"], shapes["key"]),))


_ARITHMETIC = words("Add Subtract Multiply Divide TrueDivide Power Maximum Minimum")
_COMPARISONS = words("Equal NotEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr")
_FUNCTIONS = words("Negative Absolute Square Sqrt Exp Log Log1p Tanh Sin Cos")
_ACTIVATIONS = words(
    "Relu Relu6 Sigmoid Silu Selu Softplus Softsign HardSigmoid HardSilu HardTanh LogSigmoid Mish Tanh"
)
_REDUCTION: dict[str, Check] = {
    "axis": optional(axes),
    "keepdims": boolean,
    "initial": null,
    "dtype": null,
}
_SPLIT: dict[str, Check] = {"indices_or_sections": integer(1, 64), "axis": axis}
_PAD: dict[str, Check] = {
    "pad_width": list_of(tuple_of(integer(0), 2), 1),
    "mode": choice("constant", "reflect", "symmetric"),
}
_CONVERSION: dict[str, Check] = {"dtype": _DTYPE, "sparse": choice(None, False), "ragged": null}
_NORMALIZE: dict[str, Check] = {
    "axis": axes,
    "order": integer(1, 8),
    "epsilon": optional(number(0, 1)),
}

_NUMPY: dict[str, Rule] = {
    **{name: _binary() for name in _ARITHMETIC},
    **{name: _binary("bool") for name in _COMPARISONS},
    **{name: _unary() for name in _FUNCTIONS},
    **{name: _rule(_reduced, _REDUCTION) for name in ("Mean", "Sum", "Max", "Min")},
    "LogicalNot": _unary(dtype="bool"),
    "Clip": _unary({"x_min": number(), "x_max": number()}),
    "ZerosLike": _unary({"dtype": _DTYPE}),
    "OnesLike": _unary({"dtype": _DTYPE}),
    "Any": _rule(_reduced, _REDUCTION),
    "All": _rule(_reduced, _REDUCTION),
    "Where": _binary(names=("condition", "x1", "x2")),
    "Matmul": _rule(_matmul, {}, (("x1", Kind.TENSOR), ("x2", Kind.TENSOR))),
    "Reshape": _rule(_reshape, {"newshape": list_of(integer(-1), 1)}),
    "Transpose": _rule(_transpose, {"axes": optional(list_of(integer(0, 7)))}),
    "ExpandDims": _rule(_expand, {"axis": axes}),
    "Squeeze": _rule(_squeeze, {"axis": optional(axes)}),
    "Stack": _rule(_stack, {"axis": axis}, _XS),
    "Concatenate": _rule(_concatenate, {"axis": axis}, _XS),
    "Split": _rule(_split, _SPLIT),
    "Flip": _unary({"axis": optional(axes)}),
    "Pad": _rule(_pad, _PAD, (*_X, ("constant_values", Kind.NOTHING))),
    "GetItem": _rule(_get_item, {}, (*_X, ("key", Kind.INDEX))),
}

_NN: dict[str, Rule] = {
    **{name: _unary() for name in _ACTIVATIONS},
    "Gelu": _unary({"approximate": boolean}),
    "Elu": _unary({"alpha": SLOPE}),
    "LeakyRelu": _unary({"negative_slope": SLOPE}),
    "Softmax": _unary({"axis": axes}),
    "LogSoftmax": _unary({"axis": axes}),
    "Normalize": _unary(_NORMALIZE),
}

_CORE: dict[str, Rule] = {
    "Cast": _unary({"dtype": choice(*TENSOR_DTYPES)}),
    "ConvertToTensor": _unary(_CONVERSION),
}

OPERATIONS: dict[str, dict[str, Rule]] = {
    "keras.src.ops.numpy": _NUMPY,
    "keras.src.ops.nn": _NN,
    "keras.src.ops.core": _CORE,
}
