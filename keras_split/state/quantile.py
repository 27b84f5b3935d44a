"""The normal quantile function with the same last bit on every machine.

NumPy's logarithm differs between processors, so this one is built from additions,
multiplications, divisions, square roots and `frexp`, which IEEE 754 rounds exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Rational = tuple[Sequence[float], Sequence[float]]

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Wichura (1988), algorithm AS 241: numerators and denominators, lowest power first.
_CENTRAL: Rational = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_NEAR: Rational = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_FAR: Rational = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)


def normal_quantile(probability: np.ndarray) -> np.ndarray:
    """The value below which a standard normal number falls with this probability, in (0, 1)."""
    centred = probability - 0.5
    values = np.empty_like(centred)
    central = np.abs(centred) <= 0.425
    inner = centred[central]
    values[central] = inner * _ratio(0.180625 - inner * inner, _CENTRAL)
    values[~central] = _tail(probability[~central])
    return values


def _tail(probability: np.ndarray) -> np.ndarray:
    outside = np.minimum(probability, 1.0 - probability)
    root = np.sqrt(-_log(outside))
    size = np.where(root <= 5.0, _ratio(root - 1.6, _NEAR), _ratio(root - 5.0, _FAR))
    return np.where(probability < 0.5, -size, size)


def _ratio(at: np.ndarray, rational: Rational) -> np.ndarray:
    above, below = rational
    return _polynomial(at, above) / _polynomial(at, below)


def _polynomial(at: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """Horner's rule, lowest power first."""
    value = np.full_like(at, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * at + coefficient
    return value


def _log(values: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive numbers, from exactly rounded operations alone."""
    mantissa, exponent = np.frexp(values)
    small = mantissa < math.sqrt(0.5)
    mantissa, exponent = np.where(small, 2.0 * mantissa, mantissa), exponent - small
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    series = _polynomial(ratio * ratio, [2.0 / odd for odd in range(1, 25, 2)])
    return exponent * _LN2_HIGH + (exponent * _LN2_LOW + ratio * series)
