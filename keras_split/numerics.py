"""Keras' process-wide numerical settings, which losses and layers read while they are built."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import keras
import tensorflow as tf

_IN_USE = threading.RLock()


def set_exactness(kind: str) -> None:
    """Says how exact split training is to be, for all models of this process, whole ones included.

    TensorFlow rewrites graphs before it runs them, and what it does with an operation depends on operations
    around it, of which a cut leaves some to the other party. With `"strict"` this process and its private
    server run graphs as they are written, so that nothing is left that could differ. A whole model to compare
    with has to be trained under the same setting. A server that is reached by `connect` needs
    `keras-split serve --exact strict`.

    Args:
        kind: `"default"` or `"strict"`. To be called before models are trained.

    Raises:
        ValueError: Another word.
    """
    if kind not in ("default", "strict"):
        raise ValueError(f'Exactness is "default" or "strict". Received: kind={kind!r}.')
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": kind == "strict"})


@dataclass(frozen=True)
class Numerics:
    """A process's settings at one moment.

    Args:
        floatx: Default float type.
        epsilon: Fuzz factor of losses.
        image_data_format: `"channels_last"` or `"channels_first"`.
        dtype_policy: Name of the default policy.
    """

    floatx: str
    epsilon: float
    image_data_format: str
    dtype_policy: str

    @classmethod
    def current(cls) -> Numerics:
        """Those of this process."""
        config = keras.config
        return cls(
            config.floatx(),
            config.epsilon(),
            config.image_data_format(),
            config.dtype_policy().name,
        )

    def to_config(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Within, this process has these settings; other builds wait."""
        with _IN_USE:
            before = Numerics.current()
            try:
                self.set()
                yield
            finally:
                before.set()

    def set(self) -> None:
        """From now on this process has these settings."""
        keras.config.set_floatx(self.floatx)
        keras.config.set_epsilon(self.epsilon)
        keras.config.set_image_data_format(self.image_data_format)
        keras.config.set_dtype_policy(self.dtype_policy)
