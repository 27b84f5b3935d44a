"""The serialised objects that options hold: initialisers, regularisers, constraints and the like.

Each list is closed. An initialiser of a kernel must be random and centred: with `Constant`,
`Identity`, `Ones` or a spread near zero the server would know the client's weights, and a kernel
that is known can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras_split.topology.checks import (
    Check,
    Options,
    Refusal,
    axes,
    axis,
    boolean,
    choice,
    either,
    null,
    number,
    optional,
    printable_name,
    read_options,
    refused,
    seed,
    words,
)

Table = Mapping[str, Mapping[str, Check]]

FLOATS = ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
TENSOR_DTYPES = ("float32", "float64", "float16", "bfloat16", "bool", *_INTEGERS)

_ACTIVATIONS = words(
    "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh "
    "leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink "
    "softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh "
    "tanh_shrink threshold"
)

_SPREAD = number(1e-4, 10.0)
_FANS: Mapping[str, Check] = {"seed": seed, "input_axes": null, "output_axes": null}
_NORMAL: Mapping[str, Check] = {"mean": number(-10, 10), "stddev": _SPREAD, "seed": seed}
_RANDOM: Table = {
    "RandomUniform": {"minval": number(-10, 10), "maxval": number(-10, 10), "seed": seed},
    "RandomNormal": _NORMAL,
    "TruncatedNormal": _NORMAL,
    "VarianceScaling": {
        "scale": number(1e-4, 100.0),
        "mode": choice("fan_in", "fan_out", "fan_avg"),
        "distribution": choice("normal", "uniform", "truncated_normal", "untruncated_normal"),
        **_FANS,
    },
    "Orthogonal": {"gain": _SPREAD, "seed": seed},
    "GlorotNormal": _FANS,
    "GlorotUniform": _FANS,
    "HeNormal": _FANS,
    "HeUniform": _FANS,
    "LecunNormal": _FANS,
    "LecunUniform": _FANS,
}
_ZERO_OR_ONE = choice(0, 1, 0.0, 1.0)
_INITIALIZERS: Table = {**_RANDOM, "Zeros": {}, "Ones": {}, "Constant": {"value": _ZERO_OR_ONE}}
_REGULARIZERS: Table = {
    "L1": {"l1": number(0, 100)},
    "L2": {"l2": number(0, 100)},
    "L1L2": {"l1": number(0, 100), "l2": number(0, 100)},
    "OrthogonalRegularizer": {"factor": number(0, 100), "mode": choice("rows", "columns")},
}
_NORM = number(1e-3, 1e6)
_CONSTRAINTS: Table = {
    "MaxNorm": {"max_value": _NORM, "axis": axes},
    "NonNeg": {},
    "UnitNorm": {"axis": axes},
    "MinMaxNorm": {
        "min_value": number(0, 1e6),
        "max_value": _NORM,
        "rate": number(0, 1),
        "axis": axes,
    },
}
SLOPE = number(-1e3, 1e3)
STATELESS_ACTIVATIONS: Table = {
    "ReLU": {"max_value": optional(number(0)), "negative_slope": SLOPE, "threshold": number(0)},
    "LeakyReLU": {"negative_slope": SLOPE},
    "ELU": {"alpha": SLOPE},
    "Softmax": {"axis": either(axis, axes)},
}


def _one_of(module: str, classes: Table) -> Check:
    """A serialised object of one public Keras module, of one of these classes."""

    def read(value: Any) -> Options:
        name = _class_name(value, module, classes)
        config = read_options(classes[name], value["config"], _REQUIRED.get(name, frozenset()))
        return serialised(module, name, config)

    return read


def _class_name(value: Any, module: str, classes: Table) -> str:
    allowed = f"an object of {module}: {', '.join(sorted(classes))}"
    if type(value) is not dict or value.keys() - {"build_config"} != _SERIALISED:
        raise refused(value, allowed)
    name = value["class_name"]
    if value["module"] != module or value["registered_name"] is not None:
        raise refused({key: value[key] for key in ("module", "registered_name")}, allowed)
    if type(name) is not str or name not in classes:
        raise refused(name, allowed)
    return name


_REQUIRED = {"DTypePolicy": frozenset({"name"}), "Constant": frozenset({"value"})}
_SERIALISED = {"module", "class_name", "config", "registered_name"}


def serialised(module: str | None, class_name: str, config: Options) -> Options:
    """The form in which Keras writes an object of a public class."""
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": None,
    }


_any_initializer = _one_of("keras.initializers", _INITIALIZERS)
regularizer = optional(_one_of("keras.regularizers", _REGULARIZERS))
constraint = optional(_one_of("keras.constraints", _CONSTRAINTS))
_random_initializer = _one_of("keras.initializers", _RANDOM)


def initializer(value: Any) -> Options:
    """An initialiser of a bias, a gamma or a beta; `Constant` only as `Zeros` or `Ones`."""
    read = _any_initializer(value)
    if read["class_name"] != "Constant":
        return read
    return serialised("keras.initializers", "Ones" if read["config"]["value"] else "Zeros", {})


def kernel_initializer(value: Any) -> Options:
    """A random initialiser that is centred: no option may pin a kernel to known values."""
    read = _random_initializer(value)
    config = read["config"]
    if read["class_name"] in ("RandomNormal", "TruncatedNormal"):
        offset, spread = abs(config.get("mean", 0.0)), config.get("stddev", 0.05)
    elif read["class_name"] == "RandomUniform":
        low, high = config.get("minval", -0.05), config.get("maxval", 0.05)
        offset, spread = abs(low + high) / 2, high - low
    else:
        return read
    if spread < 1e-4 or offset > spread:
        raise Refusal(f"{config}, which is too narrow. Allowed: a spread of 1e-4, and its centre")
    return read


_policy_object = _one_of("keras", {"DTypePolicy": {"name": choice(*FLOATS)}})
dtype_policy: Check = either(choice(*FLOATS), _policy_object)

COMMON: Mapping[str, Check] = {
    "name": printable_name,
    "trainable": boolean,
    "dtype": dtype_policy,
    "activity_regularizer": regularizer,
}


def _activation_layer(value: Any) -> Options:
    table = {name: {**COMMON, **own} for name, own in STATELESS_ACTIVATIONS.items()}
    return _one_of("keras.layers", table)(value)


def activation(value: Any) -> Any:
    """The name of a Keras activation, or one of the activation layers that have no weights."""
    if type(value) is dict:
        return _activation_layer(value)
    return choice(*_ACTIVATIONS, None)(value)


def policy_name(dtype: Any) -> str:
    """The name inside an accepted `dtype` option."""
    return dtype["config"]["name"] if isinstance(dtype, dict) else dtype


def weights(*names: str, initializer: Callable[[Any], Any] = kernel_initializer) -> dict[str, Check]:
    """The three options that Keras has for each weight."""
    return {
        f"{name}_{kind}": check
        for name in names
        for kind, check in (
            ("initializer", initializer),
            ("regularizer", regularizer),
            ("constraint", constraint),
        )
    }


def vectors(*names: str) -> dict[str, Check]:
    """The options of weights that may start at zero or one: biases, gammas and betas."""
    return weights(*names, initializer=initializer)
