"""Which losses look behind an output's activation."""

from __future__ import annotations

from typing import Any

import keras
from keras import tree

_READERS = ("crossentropy", "cross_entropy")


def reads_logits(loss: Any) -> bool:
    """Whether a loss, or one of a nest of them, may compute from logits where it finds them.

    Keras' cross-entropies do. A loss that is not Keras' own may call one of them.
    """
    return any(each is not None and _may_read(keras.losses.get(each)) for each in tree.flatten(loss))


def _may_read(loss: Any) -> bool:
    function = getattr(loss, "fn", loss)
    name = getattr(function, "__name__", "")
    is_own = not str(getattr(function, "__module__", "")).startswith("keras.")
    return is_own or any(each in name for each in _READERS)
