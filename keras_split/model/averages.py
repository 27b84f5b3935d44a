"""Keras' `SwapEMAWeights`, for both halves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import keras

from keras_split.segment import innermost, swap_averages
from keras_split.session import Session


def swap_in_both(callbacks: Iterable[Any], model: keras.Model, session: Callable[[], Session]) -> None:
    """Has each SwapEMAWeights do to the server's half what it does to the client's, and before that.

    The server's half has another lineage then. Where its reply is lost for good, this one has not swapped,
    and the next step is refused.

    Args:
        callbacks: A user's.
        model: The split model. To any other the callbacks do what they did.
        session: Returns the joined session.
    """
    for each in callbacks:
        if isinstance(each, keras.callbacks.SwapEMAWeights):
            both = _Both(each, model, session)
            each._swap_variables = partial(both, keeps=False)
            each._finalize_ema_values = partial(both, keeps=True)


class _Both:
    """In place of the callback's own swap.

    Args:
        callback: As `swap_in_both`.
        model: Likewise.
        session: Likewise.
    """

    def __init__(self, callback: Any, model: keras.Model, session: Callable[[], Session]):
        self._callback, self._model, self._session = callback, model, session
        self._ends_turn = False

    def __call__(self, *, keeps: bool) -> None:
        callback = self._callback
        # Without averages there is nothing to swap, as Keras will say.
        if callback.model is not self._model or not innermost(self._model.optimizer).use_ema:
            swap_averages(callback, keeps=keeps)
            return
        session = self._session()
        if not session.has_turn:
            # Nobody may train until `evaluate` or `predict` have been through, and weights are back.
            self._ends_turn = True
        session.swap_averages(keeps=keeps)
        swap_averages(callback, keeps=keeps)
        if self._ends_turn and callback._ema_weights_in_model:
            self._ends_turn = False
            session.end_turn()
