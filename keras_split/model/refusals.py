"""What a split model cannot keep its promise for, refused where the user asks for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from keras_split.segment import innermost, looks_at_all

_FORGETFUL = (
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


def check_optimizer(optimizer: Any) -> None:
    """Raises ValueError for optimizers that would do something else than on the whole model."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(
            "A split model is trained by a Keras optimizer, given as an instance or a name. "
            f"Received: optimizer={optimizer!r}."
        )


def check_policy(layers: Iterable[Any]) -> None:
    """Raises ValueError for a layer whose config does not tell its policy: the server would build another."""
    for layer in layers:
        if isinstance(layer, _FORGETFUL) and layer.dtype_policy.name != layer.dtype:
            raise ValueError(
                f"Keras saves a {type(layer).__name__} without its dtype policy, so that the server's would "
                "compute in another type than the whole model's. Give the layer "
                f"`dtype={layer.compute_dtype!r}`, or take a `Dropout` with a `noise_shape`. "
                f"Received: layer {layer.name!r} with policy {layer.dtype_policy.name}."
            )


def check_strategy() -> None:
    """Raises ValueError inside a `tf.distribute` scope: devices are added on the server."""
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync > 1:
        raise ValueError(
            "The client's half runs on one replica. Several devices belong on the server: "
            f"`keras-split serve --strategy mirrored`. Received: {strategy.num_replicas_in_sync} replicas."
        )


def check_jit(jit_compile: Any) -> bool:
    """Returns what to compile with: XLA cannot call the network."""
    if jit_compile is True:
        warnings.warn(
            "`jit_compile=True` is turned off for the client's half, since XLA cannot compile a call "
            "over the network.",
            stacklevel=3,
        )
    return False


def check_decoder(optimizer: Any, decoder: Any) -> None:
    """Raises ValueError for an optimizer that looks at all gradients, where some are a decoder's."""
    if decoder is not None and looks_at_all(optimizer):
        raise ValueError(
            "`global_clipnorm` and a LossScaleOptimizer look at all gradients of the whole model. With a "
            "decoder there are others, and steps in which the server takes no part. Use `clipnorm`, "
            "`clipvalue` or a fixed `loss_scale_factor`. "
            f"Received: optimizer={optimizer.name!r} with a decoder."
        )


def check_run(optimizer: Any, callbacks: Iterable[Any], steps_per_epoch: int | None) -> None:
    """Raises ValueError for what one of several data owners cannot do to a model that is all of theirs."""
    if innermost(optimizer).use_ema:
        raise ValueError(
            "`use_ema` puts averages in place of the weights at the end of each `fit`, and in a run of "
            "several data owners others go on training from there. Serve a model with another optimizer "
            "setting. Received: use_ema=True."
        )
    if steps_per_epoch is not None:
        raise ValueError(
            "With `steps_per_epoch` an epoch begins in the data where the last one ended, and going on after "
            "a fault would begin at the first row, and train other rows. Leave it out, and give the data of "
            "one epoch, such as `dataset.take(100)` of a tf.data.Dataset. "
            f"Received: steps_per_epoch={steps_per_epoch}."
        )
    for callback in callbacks:
        restores = getattr(callback, "restore_best_weights", False)
        if restores or isinstance(callback, keras.callbacks.BackupAndRestore):
            raise ValueError(
                f"{type(callback).__name__} takes the model back to earlier weights, and in a run of several "
                "data owners these are not one's own to take back. Leave it out: `fit` goes on from the last "
                "commit by itself."
            )
