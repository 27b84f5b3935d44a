"""Client states with each bit pattern that arithmetic or a conversion might change."""

from __future__ import annotations

import ml_dtypes
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from keras_split.state import Bundle

DTYPES = [
    *("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"),
    ml_dtypes.bfloat16,
]
_SHAPES = npst.array_shapes(min_dims=0, min_side=0, max_side=4, max_dims=3)


def odd_floats() -> Bundle:
    """Zeros with sign, infinities, denormals, quiet and signalling NaNs with payloads, in each width."""
    # Sign, exponent and mantissa bits.
    forms = {
        "half": ("u2", np.float16, 5, 10),
        "brain": ("u2", ml_dtypes.bfloat16, 8, 7),
        "single": ("u4", np.float32, 8, 23),
        "double": ("u8", np.float64, 11, 52),
    }
    return {name: _odd(*form) for name, form in forms.items()}


def _odd(unsigned: str, kind: type, exponent_bits: int, mantissa_bits: int) -> np.ndarray:
    infinity = ((1 << exponent_bits) - 1) << mantissa_bits
    quiet = 1 << (mantissa_bits - 1)
    positive = [0, 1, quiet, infinity, infinity | 1, infinity | quiet, infinity | quiet | 5]
    negative = [each | 1 << (exponent_bits + mantissa_bits) for each in positive]
    return np.array(positive + negative, unsigned).view(kind)


def arrays(dtypes: list[object] = DTYPES) -> st.SearchStrategy[np.ndarray]:
    """Arrays of any bits, empty ones and numbers without dimensions among them."""
    return st.builds(_of_bits, st.sampled_from(dtypes).map(np.dtype), _SHAPES, st.randoms())


def bundles(max_size: int = 6) -> st.SearchStrategy[Bundle]:
    """Arrays by any names."""
    return st.dictionaries(st.text(max_size=8), arrays(), max_size=max_size)


def like(bundle: Bundle, seed: int) -> Bundle:
    """Other bits under the same names, dtypes and shapes."""
    random = np.random.RandomState(seed)
    return {name: _drawn(each.dtype, each.shape, random) for name, each in bundle.items()}


def assert_same_bits(expected: Bundle, found: Bundle) -> None:
    """Names, dtypes, shapes and each bit; order does not count."""
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        assert (array.dtype, array.shape) == (found[name].dtype, found[name].shape), name
        assert array.tobytes() == found[name].tobytes(), name


def _of_bits(dtype: np.dtype, shape: tuple[int, ...], random: object) -> np.ndarray:
    return _drawn(dtype, shape, np.random.RandomState(random.getrandbits(32)))


def _drawn(dtype: np.dtype, shape: tuple[int, ...], random: np.random.RandomState) -> np.ndarray:
    count = int(np.prod(shape, dtype=int))
    raw = random.bytes(count * dtype.itemsize)
    if dtype == np.bool_:
        raw = bytes(each & 1 for each in raw)
    return np.frombuffer(raw, dtype).reshape(shape)
