"""Made-up states of a given size."""

from __future__ import annotations

import numpy as np

from keras_split.state import Bundle

_MB = 1_000_000
_TENSORS = 10


def made_up(megabytes: float, seed: int = 0) -> Bundle:
    """Normal weights in ten float32 tensors, such as an initialiser draws them."""
    random = np.random.default_rng(seed)
    count = round(megabytes * _MB / 4 / _TENSORS)
    return {f"kernel/{at}": 0.05 * random.standard_normal(count, np.float32) for at in range(_TENSORS)}


def moved(state: Bundle) -> Bundle:
    """Each weight changed by a thousandth of the weights' spread, at random."""
    random = np.random.default_rng(1)
    return {
        name: each + np.float32(5e-5) * random.standard_normal(each.shape, np.float32)
        for name, each in state.items()
    }
