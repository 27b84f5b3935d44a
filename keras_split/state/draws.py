"""Keras' initialisers, drawn from a secret stream with the same bits on every machine.

Only operations that IEEE 754 rounds exactly are used, in float64 and in a fixed order: neither
NumPy's transcendental functions nor LAPACK, whose last bits depend on the processor.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_split.state.quantile import normal_quantile

_DOMAIN = b"keras_split/initial-value/v1"
_BLOCK = 1 << 18
# Keras' correction of the spread that cutting a normal at two deviations takes away.
_TRUNCATED_SPREAD = 0.87962566103423978
_BELOW_TWO_DEVIATIONS = 0.022750131948179195

Shape = tuple[int, ...]
Config = Mapping[str, Any]


class Stream:
    """Uniform numbers of one variable.

    Args:
        secret: The clients' secret.
        path: Path of the variable.
    """

    def __init__(self, secret: bytes, path: str) -> None:
        encoded = path.encode()
        self._prefix = _DOMAIN + secret + len(encoded).to_bytes(8, "little") + encoded
        self._blocks = 0

    def integers(self, count: int) -> np.ndarray:
        """`count` integers of 64 bits, at most a block at once."""
        block = hashlib.shake_256(self._prefix + self._blocks.to_bytes(8, "little"))
        self._blocks += 1
        return np.frombuffer(block.digest(8 * count), dtype="<u8").astype(np.uint64)

    def uniform(self, shape: Shape) -> np.ndarray:
        """Numbers in the open interval (0, 1), in odd multiples of 2**-54."""
        return self._fill(shape, lambda uniform: uniform)

    def normal(self, shape: Shape) -> np.ndarray:
        """Standard normal numbers."""
        return self._fill(shape, normal_quantile)

    def truncated_normal(self, shape: Shape) -> np.ndarray:
        """Normal numbers within two deviations."""
        inside = 1.0 - 2.0 * _BELOW_TWO_DEVIATIONS
        return self._fill(shape, lambda uniform: normal_quantile(_BELOW_TWO_DEVIATIONS + inside * uniform))

    def _fill(self, shape: Shape, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Block by block, so that a big weight needs no big temporaries."""
        values = np.empty(math.prod(shape))
        for start in range(0, values.size, _BLOCK):
            words = self.integers(min(_BLOCK, values.size - start)) >> np.uint64(11)
            uniform = (words.astype(np.float64) + 0.5) * 2.0**-53
            values[start : start + _BLOCK] = change(uniform)
        return values.reshape(shape)


def compute_fans(
    shape: Shape,
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """Input and output units of a weight, as Keras counts them."""
    if input_axes is not None and output_axes is not None:
        fan_in = math.prod(shape[axis] for axis in input_axes)
        return fan_in, math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


def _uniform(stream: Stream, config: Config, shape: Shape) -> np.ndarray:
    low, high = config.get("minval", -0.05), config.get("maxval", 0.05)
    return low + (high - low) * stream.uniform(shape)


def _normal(stream: Stream, config: Config, shape: Shape) -> np.ndarray:
    return config.get("mean", 0.0) + config.get("stddev", 0.05) * stream.normal(shape)


def _truncated_normal(stream: Stream, config: Config, shape: Shape) -> np.ndarray:
    values = stream.truncated_normal(shape)
    return config.get("mean", 0.0) + config.get("stddev", 0.05) * values


def _variance_scaling(stream: Stream, config: Config, shape: Shape) -> np.ndarray:
    fan_in, fan_out = compute_fans(shape, config.get("input_axes"), config.get("output_axes"))
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
    scale = config.get("scale", 1.0) / max(1.0, fans[config.get("mode", "fan_in")])
    distribution = config.get("distribution", "truncated_normal")
    if distribution == "uniform":
        return math.sqrt(3.0 * scale) * (2.0 * stream.uniform(shape) - 1.0)
    if distribution == "untruncated_normal":
        return math.sqrt(scale) * stream.normal(shape)
    return math.sqrt(scale) / _TRUNCATED_SPREAD * stream.truncated_normal(shape)


def _scaled(scale: float, mode: str, distribution: str) -> Callable[..., np.ndarray]:
    own = {"scale": scale, "mode": mode, "distribution": distribution}
    return lambda stream, config, shape: _variance_scaling(stream, {**config, **own}, shape)


def _orthogonal(stream: Stream, config: Config, shape: Shape) -> np.ndarray:
    if len(shape) < 2:
        raise ValueError(
            f"An orthogonal initialiser needs a weight of rank 2 or more. Received: shape={shape}."
        )
    rows, columns = math.prod(shape[:-1]), shape[-1]
    matrix = _orthonormal_columns(stream, max(rows, columns), min(rows, columns))
    if rows < columns:
        matrix = matrix.T
    return config.get("gain", 1.0) * matrix.reshape(shape)


def _orthonormal_columns(stream: Stream, rows: int, columns: int) -> np.ndarray:
    """Q of the QR decomposition of a normal matrix, made uniform by the signs of R's diagonal.

    The reflections that a QR decomposition would find are themselves independent normal vectors
    (Stewart, 1980), so they are drawn and applied to the identity, and nothing is decomposed.
    """
    matrix = np.eye(rows, columns)
    for at in reversed(range(columns)):
        vector = stream.normal((rows - at,))
        norm = math.sqrt(math.fsum((vector * vector).tolist()))
        sign = -1.0 if vector[0] < 0 else 1.0
        vector[0] += sign * norm
        block = matrix[at:, at:]
        weights = np.add.reduce(vector[:, None] * block, axis=0)
        block -= (vector / (norm * abs(vector[0])))[:, None] * weights
        # The reflection sends the first axis to -sign times the drawn direction.
        block[:, 0] *= -sign
    return matrix


def _constant(value: float) -> Callable[..., np.ndarray]:
    return lambda stream, config, shape: np.full(shape, value)


INITIALIZERS: dict[str, Callable[[Stream, Config, Shape], np.ndarray]] = {
    "Zeros": _constant(0.0),
    "Ones": _constant(1.0),
    "RandomUniform": _uniform,
    "RandomNormal": _normal,
    "TruncatedNormal": _truncated_normal,
    "VarianceScaling": _variance_scaling,
    "GlorotUniform": _scaled(1.0, "fan_avg", "uniform"),
    "GlorotNormal": _scaled(1.0, "fan_avg", "truncated_normal"),
    "HeUniform": _scaled(2.0, "fan_in", "uniform"),
    "HeNormal": _scaled(2.0, "fan_in", "truncated_normal"),
    "LecunUniform": _scaled(1.0, "fan_in", "uniform"),
    "LecunNormal": _scaled(1.0, "fan_in", "truncated_normal"),
    "Orthogonal": _orthogonal,
}
