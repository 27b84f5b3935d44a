"""Initial weights of a client from a 256-bit secret that the server never learns.

Keras' own default seeds have about 30 bits: whoever sees two initial weights finds the rest in
hours. Here each variable gets a stream of its own, SHAKE-256 of the secret and the variable's
path, and one value of it tells nothing about another. The same secret gives the same bits on
every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_split.naming import lasting_names
from keras_split.state.draws import INITIALIZERS, Config, Shape, Stream

SECRET_BYTES = 32
# A depthwise convolution calls its weight "kernel" and its option "depthwise_initializer".
_OTHER_NAMES = {"kernel": ("depthwise",)}
# Weights whose initialiser is in Keras' code alone.
_NAMED_IN_CODE = {("AdditiveAttention", "scale"): "GlorotUniform"}


def initial_value(
    secret: bytes,
    path: str,
    initializer_class: str,
    initializer_config: Config,
    shape: Shape,
    dtype: str,
) -> np.ndarray:
    """What a Keras initialiser would give, drawn from the secret instead of from its seed.

    Args:
        secret: 32 bytes, shared among the clients of one run.
        path: Names the variable; each path has a stream of its own.
        initializer_class: Class name, such as `"GlorotUniform"`.
        initializer_config: Its `get_config()`; the seed in it is ignored.
        shape: Shape of the variable.
        dtype: Dtype of the variable; values are computed in float64 and cast.

    Raises:
        ValueError: The secret is too short, or the initialiser is not known.
    """
    _check_secret(secret)
    draw = INITIALIZERS.get(initializer_class)
    if draw is None:
        raise ValueError(
            f"Variable {path!r} has an initialiser that cannot be drawn from a secret. Use one of "
            f"{', '.join(sorted(INITIALIZERS))}. Received: initializer={initializer_class!r}."
        )
    return draw(Stream(secret, path), initializer_config, shape).astype(dtype, order="C")


def _check_secret(secret: bytes) -> None:
    if not isinstance(secret, bytes) or len(secret) != SECRET_BYTES:
        # Its length, and never the secret itself, may stand in an error.
        raise ValueError(
            f"The clients' secret must be {SECRET_BYTES} bytes: make one with "
            f"`secrets.token_bytes({SECRET_BYTES})`. Received: {type(secret).__name__} of "
            f"length {len(secret)}."
        )


def initialise(model: Any, secret: bytes) -> None:
    """Gives a built Keras model the initial weights and seeds that belong to a secret.

    Each trainable weight is drawn anew from the distribution of its own initialiser. Statistics,
    such as a BatchNormalization's, stay as Keras made them. The state of every seed generator,
    such as a Dropout's, becomes fresh.

    Args:
        model: Built Functional or Sequential model, or any Keras layer.
        secret: 32 bytes, shared among the clients of one run.

    Raises:
        ValueError: The secret is not of 32 bytes, or a weight cannot be traced to an initialiser
            that is drawn from a secret.
    """
    _check_secret(secret)
    for path, layer in _layers(model, "", set()):
        for at, variable in enumerate(layer._trainable_variables):
            variable.assign(_draw(secret, f"{path}//weight/{at}", layer, variable))
        for at, generator in enumerate(layer._seed_generators):
            generator.state.assign(_fresh_seed(secret, f"{path}//seed/{at}", generator))


def _layers(layer: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Each layer once, with its place below the model.

    The layers of a model go by their lasting names, those that a layer makes for itself by their position.
    """
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield path, layer
    is_model = isinstance(getattr(layer, "layers", None), list)
    inside = layer._flatten_layers(include_self=False, recursive=False)
    names = lasting_names(inner.name for inner in inside) if is_model else range(len(inside))
    for inner, name in zip(inside, names, strict=True):
        yield from _layers(inner, f"{path}/{name}", seen)


def _draw(secret: bytes, path: str, layer: Any, variable: Any) -> np.ndarray:
    shape, dtype = tuple(variable.shape), str(variable.dtype)
    found = _initializer(layer, variable.name)
    if found is None:
        return _kept(layer, variable)
    kind, config = found
    if variable.name == "bias" and getattr(layer, "unit_forget_bias", False):
        return _forget_bias(secret, path, kind, config, shape, dtype)
    if variable.name == "kernel" and hasattr(layer, "equation"):
        config = {**_einsum_axes(layer.equation), **_given(config)}
    return initial_value(secret, path, kind, config, shape, dtype)


def _initializer(layer: Any, name: str) -> tuple[str, Config] | None:
    """Class and config of what a weight starts from; Keras keeps it on the layer, beside it."""
    key = (type(layer).__name__, name)
    if key in _NAMED_IN_CODE:
        return _NAMED_IN_CODE[key], {}
    for each in (name, name.removesuffix("_kernel"), *_OTHER_NAMES.get(name, ())):
        initializer = getattr(layer, f"{each}_initializer", None)
        if initializer is not None:
            return type(initializer).__name__, initializer.get_config()
    return None


def _kept(layer: Any, variable: Any) -> np.ndarray:
    """A weight that starts at one constant, such as an RMSNormalization's scale."""
    value = np.asarray(variable)
    # One number alone cannot show whether it was drawn, unless it is 0 or 1.
    usual = np.isin(value, (0, 1)).all()
    if value.size and not (usual or value.size > 1 and (value == value.flat[0]).all()):
        raise ValueError(
            f"Weight {variable.path!r} of a {type(layer).__name__} has no initialiser that we "
            "can find, so its initial value might be known to others. Give the layer an "
            f"attribute `{variable.name}_initializer`. Received: shape={tuple(variable.shape)}."
        )
    return value


def _forget_bias(secret: bytes, path: str, kind: str, config: Config, shape: Shape, dtype: str) -> np.ndarray:
    """Of the four gates of an LSTM, the second starts with a bias of one."""
    units = shape[0] // 4
    before, after = (
        initial_value(secret, f"{path}/{at}", kind, config, (size,), dtype)
        for at, size in enumerate((units, 2 * units))
    )
    return np.concatenate([before, np.ones(units, dtype), after])


def _given(config: Config) -> Config:
    return {key: value for key, value in config.items() if value is not None}


def _einsum_axes(equation: str) -> Config:
    """Which axes of an EinsumDense's kernel are inputs and which outputs."""
    terms, output = equation.replace("...", "").split("->")
    kernel = terms.split(",")[1]
    return {
        "input_axes": [at for at, letter in enumerate(kernel) if letter not in output],
        "output_axes": [at for at, letter in enumerate(kernel) if letter in output],
    }


def _fresh_seed(secret: bytes, path: str, generator: Any) -> np.ndarray:
    """A state of 62 bits; its numbers fit into int32, as which TensorFlow reads them."""
    state = generator.state
    numbers = Stream(secret, path).integers(2) >> np.uint64(33)
    return numbers.reshape(tuple(state.shape)).astype(str(state.dtype))
