"""What an optimizer does once gradients are there, on either side of a cut.

Most optimizers update each variable by itself. Some look at all gradients first: `global_clipnorm` wants
their norm, a LossScaleOptimizer whether any of them has overflown. There each side measures its own
gradients, the two exchange what they have measured, and each goes on with what the whole model would have
found.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

# By role on the wire, in the order in which they travel.
MEASURES = {"places": "int32", "squared_norms": "float64", "finite": "bool"}
Measures = dict[str, Any]
# Before all places: of a part that has no gradient.
_NOWHERE = -1


def innermost(optimizer: Any) -> Any:
    """The optimizer that updates variables, which a LossScaleOptimizer has inside."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def looks_at_all(optimizer: Any) -> bool:
    """Whether the update of a variable depends on the gradients of others."""
    return bool(_measured(optimizer))


def undecayed(optimizer: Any, weights: Mapping[int, Any]) -> list[int]:
    """Places of those weights that `exclude_from_weight_decay` has named, which is in no config.

    Args:
        optimizer: Keras optimizer.
        weights: By their places in the whole model.
    """
    inner = innermost(optimizer)
    if not any(getattr(inner, f"_exclude_from_weight_decay{kind}", None) for kind in ("", "_pattern")):
        return []
    # Of the TensorFlow variable, by whose name Keras' patterns go.
    return [place for place, each in weights.items() if not inner._use_weight_decay(each.value)]


def leave_undecayed(optimizer: Any, weights: Mapping[int, Any], places: Sequence[int]) -> None:
    """Excludes a part's weights at these places from weight decay."""
    if places:
        found = [each for place, each in weights.items() if place in set(places)]
        innermost(optimizer).exclude_from_weight_decay(var_list=found)


def swap_averages(callback: keras.callbacks.SwapEMAWeights, *, keeps: bool) -> None:
    """One of the two things that Keras' callback does to the model that it has been given.

    Its hooks do them at other moments on either side. And to swap rounds, so that it has to be done as there.

    Args:
        callback: With its model.
        keeps: The averages become what the weights are, in place of changing places with them.
    """
    kind = type(callback)
    if keeps:
        kind._finalize_ema_values(callback)
    else:
        kind._swap_variables(callback)


def measure(optimizer: Any, gradients: Sequence[tuple[Any, Any]], weights: Mapping[int, Any]) -> Measures:
    """What the other side has to know of this side's gradients, by role.

    Args:
        optimizer: Keras optimizer.
        gradients: Pairs of a gradient, or None, and its variable.
        weights: This side's, by their places in the whole model.
    """
    there = [(gradient, variable) for gradient, variable in gradients if gradient is not None]
    found: Measures = {}
    wanted = _measured(optimizer)
    if "squared_norms" in wanted:
        # As Keras' `global_norm`, whose sum follows the order of the whole model's variables.
        norms = [ops.sum(ops.square(each)) for each in _to_be_clipped(optimizer, there)]
        places = {id(each): place for place, each in weights.items()}
        at = [places[id(variable)] for _, variable in there]
        # The wire has no tensor of nothing.
        found["places"] = tf.constant(at or [_NOWHERE], tf.int32)
        found["squared_norms"] = tf.cast(tf.stack(norms or [0.0]), tf.float64)
    if "finite" in wanted:
        # No `check_finite` of none, which Keras would not ask for.
        found["finite"] = tf.reduce_all([ops.all(ops.isfinite(each)) for each, _ in there] or [True])
    return found


def apply_gradients(
    optimizer: Any,
    gradients: Sequence[tuple[Any, Any]],
    own: Measures | None = None,
    theirs: Measures | None = None,
) -> None:
    """Updates variables; a part that has none to train counts the update as well.

    Args:
        optimizer: Keras optimizer.
        gradients: Pairs of a gradient and its variable; none of a frozen part.
        own: What this side has measured, for an optimizer that looks at all gradients.
        theirs: What the other side has.
    """
    with contextlib.ExitStack() as replaced:
        if own and theirs:
            for of, name, method in _looking_at_all(optimizer, own, theirs):
                replaced.enter_context(_replaced(of, name, method))
        if gradients:
            optimizer.apply_gradients(gradients)
        elif "finite" in (own or {}):
            # It decides whether the update counts.
            replaced.enter_context(
                _replaced(innermost(optimizer), "apply", lambda *_, **__: _count(optimizer))
            )
            optimizer.apply([], [])
        else:
            _count(optimizer)


def _measured(optimizer: Any) -> tuple[str, ...]:
    """By role, what has to be known of all gradients."""
    clips = (innermost(optimizer).global_clipnorm or 0) > 0  # As Keras, which takes others for none.
    norms = ("places", "squared_norms") if clips else ()
    return (*norms, "finite") if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else norms


def _count(optimizer: Any) -> None:
    # Schedules count iterations, of which Keras' own property makes a quotient where gradients are
    # accumulated.
    innermost(optimizer)._iterations.assign_add(1)


def _to_be_clipped(optimizer: Any, gradients: Sequence[tuple[Any, Any]]) -> list[Any]:
    """Gradients as the optimizer has them when it clips: unscaled, and with those that have accumulated."""
    found = [gradient for gradient, _ in gradients]
    inner = innermost(optimizer)
    if inner is not optimizer:
        found = [ops.divide(each, optimizer.dynamic_scale) for each in found]
    if inner.loss_scale_factor is not None:
        found = [each / inner.loss_scale_factor for each in found]
    steps = inner.gradient_accumulation_steps
    if steps:
        kept = [inner._accumulated_gradients[inner._get_variable_index(each)] for _, each in gradients]
        found = [(each + before) / steps for each, before in zip(found, kept, strict=True)]
    return found


def _looking_at_all(
    optimizer: Any, own: Measures, theirs: Measures
) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """Where Keras looks at all gradients of one side, and what it is to find of both in its place."""
    if "finite" in own:
        finite = tf.logical_and(own["finite"], theirs["finite"])
        yield optimizer, "check_finite", lambda gradients: finite
    if "squared_norms" in own:
        inner = innermost(optimizer)
        places, norms = (tf.concat([own[role], theirs[role]], 0) for role in ("places", "squared_norms"))
        norms = tf.gather(norms, tf.argsort(places))
        norms = norms[tf.math.count_nonzero(tf.equal(places, _NOWHERE)) :]
        yield inner, "_clip_gradients", lambda gradients: _clipped(gradients, norms, inner.global_clipnorm)


def _clipped(gradients: Sequence[Any], norms: Any, limit: float) -> list[Any]:
    """As Keras' `clip_by_global_norm`, which would compute the norms itself."""
    if not gradients:
        return []
    norm = ops.sqrt(ops.sum(tf.cast(norms, gradients[0].dtype)))
    scale = limit * ops.minimum(1.0 / norm, 1.0 / limit)
    # Of a norm that is not finite, a NaN.
    scale = scale + (norm - norm)
    return [each * scale for each in gradients]


@contextlib.contextmanager
def _replaced(of: Any, name: str, method: Callable[..., Any]) -> Iterator[None]:
    """For the time of a `with` statement, in which an update is traced."""
    setattr(of, name, method)
    try:
        yield
    finally:
        delattr(of, name)
