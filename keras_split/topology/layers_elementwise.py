"""Rules of layers that keep the shape: activations, normalisation, noise and dropout."""

from __future__ import annotations

import math
from typing import Any

from keras_split.topology.checks import (
    Check,
    Options,
    Refusal,
    axes,
    axis,
    boolean,
    choice,
    data_format,
    either,
    integer,
    list_of,
    null,
    number,
    optional,
    seed,
)
from keras_split.topology.objects import (
    STATELESS_ACTIVATIONS,
    activation,
    constraint,
    initializer,
    regularizer,
    vectors,
)
from keras_split.topology.rules import (
    INPUTS_AND_MASK,
    INPUTS_TRAINING_MASK,
    Effect,
    Infer,
    Kind,
    Rule,
    Shapes,
    one_input,
    unchanged,
)
from keras_split.topology.shapes import Shape, fixed, index, indices, text

_same = one_input(unchanged)


def _sizes(options: Options, shape: Shape) -> int:
    """Product of the dimensions that `axis` names."""
    named = indices(shape, options.get("axis", -1))
    return math.prod(fixed(shape[at], f"dimension {at}") for at in named)


def _centred_and_scaled(options: Options) -> int:
    return int(options.get("center", True)) + int(options.get("scale", True))


def _affine(extra: int = 0) -> Infer:
    """A gamma and a beta along `axis`, where they are wanted, with `extra` statistics."""

    def infer(options: Options, shapes: Shapes) -> Effect:
        shape = shapes["inputs"]
        count = _sizes(options, shape) * (_centred_and_scaled(options) + extra)
        return Effect((shape,), count)

    return infer


def _group_normalization(options: Options, shapes: Shapes) -> Effect:
    width, groups = _sizes(options, shapes["inputs"]), options.get("groups", 32)
    if groups != -1 and (groups < 1 or width % groups):
        raise Refusal(f"{groups} groups do not divide {width} channels")
    return Effect((shapes["inputs"],), width * _centred_and_scaled(options))


def _rms_normalization(options: Options, shapes: Shapes) -> Effect:
    return Effect((shapes["x"],), _sizes(options, shapes["x"]))


def _prelu(options: Options, shapes: Shapes) -> Effect:
    shape = shapes["inputs"]
    shared = {index(shape, at) for at in options.get("shared_axes") or []}
    own = [at for at in range(1, len(shape)) if at not in shared]
    return Effect((shape,), math.prod(fixed(shape[at], f"dimension {at}") for at in own))


def _statistics(options: Options, shapes: Shapes) -> Effect:
    """Feature-wise normalisation: mean and variance are weights unless the config gives them."""
    count = _sizes(options, shapes["inputs"]) if options.get("axis", [-1]) else 1
    for name in ("mean", "variance"):
        if math.prod(_array_shape(options.get(name), name)) not in (1, count):
            raise Refusal(f"more or fewer than the {count} values that it normalises", name)
    return Effect((shapes["inputs"],), 0 if options.get("mean") is not None else 2 * count + 1)


def _array_shape(value: Any, name: str) -> tuple[int, ...]:
    """Sizes of nested lists of numbers."""
    if not isinstance(value, list):
        return ()
    inner = {_array_shape(each, name) for each in value}
    if len(inner) != 1:
        raise Refusal("ragged. Allowed: lists of equal lengths", name)
    return (len(value), *inner.pop())


def _rescaling(options: Options, shapes: Shapes) -> Effect:
    """Keras takes the input's shape for the output's, also where the numbers would enlarge it."""
    shape = shapes["inputs"]
    for name in ("scale", "offset"):
        sizes = _array_shape(options.get(name), name)
        pairs = zip(sizes[::-1], shape[::-1], strict=False)
        fits = all(size in (1, dim.size if dim.known else 1) for size, dim in pairs)
        if not fits or len(sizes) >= len(shape):
            raise Refusal(f"of shape {sizes}, which does not fit an input of {text(shape)}", name)
    return Effect((shape,))


def _dropped(options: Options, shapes: Shapes) -> Effect:
    shape, noise = shapes["inputs"], options.get("noise_shape")
    if noise is not None:
        fits = len(noise) == len(shape) and all(
            size in (None, 1, dim.size if dim.known else 1) for size, dim in zip(noise, shape, strict=True)
        )
        if not fits:
            raise Refusal(f"{noise}, which does not fit an input of {text(shape)}", "noise_shape")
    return Effect((shape,))


def _numbers(value: Any) -> Any:
    """A number, or numbers nested like an array of at most three dimensions."""
    check: Check = number()
    for _ in range(3):
        check = either(list_of(check, 1, 4096), number())
    return check(value)


_EPSILON = number(0, 1)
_GAMMA_AND_BETA: dict[str, Check] = {
    "epsilon": _EPSILON,
    "center": boolean,
    "scale": boolean,
    **vectors("gamma", "beta"),
}
_RATE = number(0, 1)
_NOISE_SHAPE = optional(list_of(optional(integer(1)), 1))
_DROPOUT: dict[str, Check] = {"rate": _RATE, "seed": seed}

RULES: dict[str, Rule] = {
    "Identity": Rule(_same, {}),
    "Masking": Rule(_same, {"mask_value": number()}),
    "Activation": Rule(_same, {"activation": activation}, frozenset({"activation"})),
    **{name: Rule(_same, table) for name, table in STATELESS_ACTIVATIONS.items()},
    "Softmax": Rule(_same, STATELESS_ACTIVATIONS["Softmax"], call=INPUTS_AND_MASK),
    "PReLU": Rule(
        _prelu,
        {
            "alpha_initializer": initializer,
            "alpha_regularizer": regularizer,
            "alpha_constraint": constraint,
            "shared_axes": optional(list_of(axis)),
        },
    ),
    "BatchNormalization": Rule(
        _affine(extra=2),
        {
            "axis": axis,
            "momentum": number(0, 1),
            "synchronized": choice(False),
            "renorm": choice(False),
            "renorm_clipping": null,
            "renorm_momentum": number(0, 1),
            "moving_mean_initializer": initializer,
            "moving_variance_initializer": initializer,
            **_GAMMA_AND_BETA,
        },
        call=INPUTS_TRAINING_MASK,
    ),
    "LayerNormalization": Rule(_affine(), {"axis": axes, "rms_scaling": choice(False), **_GAMMA_AND_BETA}),
    "GroupNormalization": Rule(
        _group_normalization, {"groups": integer(-1), "axis": axis, **_GAMMA_AND_BETA}
    ),
    "RMSNormalization": Rule(
        _rms_normalization, {"axis": axes, "epsilon": _EPSILON}, call=(("x", Kind.TENSOR),)
    ),
    "UnitNormalization": Rule(_same, {"axis": axes}),
    "Normalization": Rule(
        _statistics,
        {
            "axis": list_of(axis),
            "invert": boolean,
            "mean": optional(_numbers),
            "variance": optional(_numbers),
        },
    ),
    "Rescaling": Rule(_rescaling, {"scale": _numbers, "offset": _numbers}, frozenset({"scale"})),
    "Dropout": Rule(_dropped, {**_DROPOUT, "noise_shape": _NOISE_SHAPE}),
    "AlphaDropout": Rule(_dropped, {**_DROPOUT, "noise_shape": _NOISE_SHAPE}),
    "GaussianDropout": Rule(_same, _DROPOUT),
    "GaussianNoise": Rule(_same, {"stddev": number(0, 1e3), "seed": seed}),
    "SpatialDropout1D": Rule(_same, _DROPOUT),
    "SpatialDropout2D": Rule(_same, {**_DROPOUT, "data_format": data_format}),
    "SpatialDropout3D": Rule(_same, {**_DROPOUT, "data_format": data_format}),
    "ActivityRegularization": Rule(_same, {"l1": number(0, 100), "l2": number(0, 100)}),
}
