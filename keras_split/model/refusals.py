"""What a split model cannot keep its promise for, refused where the user asks for it."""

from __future__ import annotations

import contextlib
import inspect
import types
import warnings
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from keras_split.model.own_steps import RUNNABLE, is_own
from keras_split.segment import draws_nothing, innermost, looks_at_all

# Of Keras' own layers, those that may draw otherwise than from a generator that they keep.
_DRAW_ELSEWHERE = (keras.layers.Lambda, keras.layers.AugMix)
# What a class of the user's own may define anew without a step being another: how it is made, shown and kept.
_OWN_AFFAIR = {
    *("build", "build_from_config", "get_build_config", "get_config", "from_config", "to_json", "summary"),
    *("get_compile_config", "compile_from_config", "save", "save_weights", "load_weights", "export"),
    *("get_layer", "count_params", "quantize", "get_quantization_layer_structure", "enable_lora"),
}
# What an optimizer of the user's own may define: how one variable is updated by its own gradient.
_OF_ONE_VARIABLE = {
    "build",
    "update_step",
    "get_config",
    "from_config",
    "save_own_variables",
    "load_own_variables",
}


def check_steps(model: keras.Model) -> None:
    """Raises ValueError for a model that does something else in a step than Keras' own classes."""
    own = _overridden(model, {*_OWN_AFFAIR, *RUNNABLE})
    if own:
        raise ValueError(
            f"{type(model).__name__} defines {_listed(own)} anew, and a split model cannot run that: one "
            "step is made by the client and the server together. Split a `keras.Model(model.inputs, "
            "model.outputs)`, which has the same layers, and say the rest to `compile` (losses, metrics) or "
            f"in callbacks and layers. Of a class, {_listed(RUNNABLE)} are run. Received: model "
            f"{model.name!r} of a class that overrides {_listed(own)}."
        )


def check_draws(model: keras.Model) -> None:
    """Raises Refused for layers that draw from NumPy or Python while their graph is made."""
    for layer in model._flatten_layers(include_self=False):
        if type(layer).__module__.startswith("keras.") and not isinstance(layer, _DRAW_ELSEWHERE):
            continue
        trains = {"training": True} if "training" in inspect.signature(layer.call).parameters else {}
        for node in layer._inbound_nodes[:1]:
            given = {**node.arguments.kwargs, **trains}
            with draws_nothing(f"Layer {layer.name!r}"), contextlib.suppress(Exception):
                keras.Operation.compute_output_spec(layer, *node.arguments.args, **given)


def check_own_optimizer(optimizer: keras.optimizers.Optimizer) -> None:
    """Raises ValueError for optimizers that look at more than one variable at a time, or that have a past."""
    for each in (optimizer, innermost(optimizer)):
        own = _overridden(each, _OF_ONE_VARIABLE)
        if own:
            raise ValueError(
                f"{type(each).__name__} defines {_listed(own)} anew, which sees all variables and gradients "
                "at once, and each side has its own only. Define `build` and `update_step`. Received: "
                f"optimizer={each.name!r}."
            )
    optimizer = innermost(optimizer)
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        raise ValueError(
            "A MultiOptimizer has several learning rates, and one travels with a step. Split the model with "
            f"one optimizer for all variables. Received: optimizer={optimizer.name!r}."
        )
    rate = optimizer._learning_rate
    if callable(rate) and not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        raise ValueError(
            "A function as learning rate would be called on each side by itself. Give a "
            "`keras.optimizers.schedules.LearningRateSchedule`, or a number and a LearningRateScheduler. "
            f"Received: learning_rate={rate!r}."
        )
    if optimizer.built:
        raise ValueError(
            "This optimizer has been used: it has made variables for the weights of a whole model, or of one "
            "half, and each side needs those of its own. Give a new one, such as "
            "`type(optimizer).from_config(optimizer.get_config())`, which begins anew. Received: "
            f"optimizer={optimizer.name!r}, which has counted {int(optimizer._iterations)} updates."
        )


def check_paths(optimizer: keras.optimizers.Optimizer) -> None:
    """Raises ValueError for an optimizer that looks at paths which the client does not know."""
    patterns = getattr(innermost(optimizer), "exclude_layers", None)
    if patterns:
        raise ValueError(
            "`exclude_layers` is matched with the paths of variables in the whole model, which the client of "
            "a served model does not know. Serve a model with another optimizer. Received: "
            f"exclude_layers={patterns!r}."
        )


def check_losses(losses: Any) -> None:
    """Raises ValueError for losses that remember something: each side would have a memory of its own."""
    for loss in keras.tree.flatten(losses):
        kept = [name for name, each in getattr(loss, "__dict__", {}).items() if _is_variable(each)]
        if kept:
            raise ValueError(
                f"The loss {type(loss).__name__} has variables ({_listed(kept)}). Both sides compute the "
                "loss, and each would change its own. Make them weights of a layer, or cut again behind the "
                f"server's part (`second_cut`), by which the loss is computed here only. Received: "
                f"loss={type(loss).__name__}."
            )


def check_trains(whole: keras.Model) -> None:
    """Raises ValueError where no variable of a model is trained."""
    if not whole.trainable_variables:
        raise ValueError(
            "Nothing of this model is trained: it, or each of its layers, has `trainable=False`. A layer in "
            "a frozen model is frozen as well. Set `trainable` to True where it is to learn, and call "
            f"`compile` again. Received: model {whole.name!r} without a trainable variable."
        )


def _overridden(thing: Any, harmless: set[str]) -> list[str]:
    """Names of what a class outside of Keras, or the object itself, puts in place of what Keras defines."""
    kinds = [each for each in type(thing).__mro__ if each is not object]
    methods = (types.FunctionType, property, classmethod, staticmethod)
    defined = {
        name
        for each in kinds
        for name, value in vars(each).items()
        if not is_own(each) and isinstance(value, methods)
    }
    found = {name for each in kinds if is_own(each) for name in vars(each)} - harmless
    # What is set on the object itself runs in no other, `build` of Keras' own doing apart.
    found |= {name for name, value in vars(thing).items() if callable(value)} - _OWN_AFFAIR
    return sorted(name for name in found & defined if not name.startswith("__") or name == "__call__")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _is_variable(value: Any) -> bool:
    return isinstance(value, (keras.Variable, tf.Variable))


def check_optimizer(optimizer: Any) -> None:
    """Raises ValueError for optimizers that would do something else than on the whole model."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(
            "A split model is trained by a Keras optimizer, given as an instance or a name. "
            f"Received: optimizer={optimizer!r}."
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
