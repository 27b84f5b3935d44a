"""Callbacks in the forms that Keras takes them in."""

from __future__ import annotations

from typing import Any

import keras
from keras import tree


def listed(callbacks: Any) -> list[Any]:
    """One by one.

    Args:
        callbacks: As given to `fit`: None, one, some in a structure, or a CallbackList.
    """
    given = callbacks.callbacks if isinstance(callbacks, keras.callbacks.CallbackList) else callbacks
    return [] if given is None else tree.flatten(given)
