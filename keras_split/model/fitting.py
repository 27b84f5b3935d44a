"""`fit` in a run of several data owners: from the last commit on, again after every fault."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_split.callbacks import TurnWatcher
from keras_split.errors import ConnectionLost, DeadlineExceeded, ServerBusy, SplitError, StoreFull, TurnLost
from keras_split.model import refusals
from keras_split.model.callback_lists import listed
from keras_split.model.histories import JoinedHistory
from keras_split.model.one_training import OneTraining
from keras_split.model.ownership import Ownership
from keras_split.model.takes_turns import TakesTurns
from keras_split.model.waits import display
from keras_split.owners import Taken, Trained

_log = logging.getLogger(__name__)
# Somebody will make room on a full disk, as somebody mends a line.
_RECOVERABLE = (ConnectionLost, DeadlineExceeded, ServerBusy, StoreFull, TurnLost)
# In a row, without a commit in between: what fails so often will go on failing.
_MOST_FAILURES = 10
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 10.0


def fit_in_turns(
    model: Any, ownership: Ownership, fit: Callable[..., Any], given: dict[str, Any], callbacks: Any
) -> Any:
    """Calls `fit` until all epochs are done, each time from this client's last commit.

    Args:
        model: The split model.
        ownership: The model's.
        fit: Keras'.
        given: Its arguments.
        callbacks: The user's.

    Returns:
        The History of all epochs that this process has trained.

    Raises:
        SplitError: What still went wrong in the end. Nothing committed is lost: calling `fit` again goes on.
    """
    own = listed(callbacks)
    refusals.check_run(model.optimizer, own, given.get("steps_per_epoch"))
    watchers = [each for each in own if isinstance(each, TurnWatcher)]
    turns = TakesTurns(ownership, display(given.get("verbose", "auto")), watchers)
    training, history = OneTraining(own, model, turns.ensure), JoinedHistory()
    # To a CallbackList Keras adds nothing, as to the user's own.
    told = training if isinstance(callbacks, keras.callbacks.CallbackList) else [training]
    given = {**given, "callbacks": model.with_traffic(told, history, turns)}
    model.history, model.stop_training = history, False
    is_done = False
    try:
        while not is_done:
            is_done = _fit_once(model, turns, fit, given)
        training.finish()
        return history
    finally:
        with contextlib.suppress(SplitError):
            ownership.owner.leave(is_done=is_done)


def _fit_once(model: Any, turns: TakesTurns, fit: Callable[..., Any], given: dict[str, Any]) -> bool:
    """Whether it came to its end; if not, the next one goes on from the last commit."""
    is_read = False
    try:
        # What can go wrong in a turn can go wrong while one is taken.
        done = _take(turns, given)
        if model.stop_training and done == turns.trained:
            # A callback had stopped the training, and only the reply to its last commit was lost.
            return True
        model.steps_to_pass, is_read = done.steps, True
        fit(**{**given, "initial_epoch": max(given.get("initial_epoch", 0), done.epochs)})
        return True
    except _RECOVERABLE as error:
        failures = turns.failed()
        if (is_read and _is_gone(given.get("x"))) or failures > _MOST_FAILURES:
            raise
        # Tracing may have broken off. It has made some variables then, and TensorFlow lets a function make
        # others in its first trace alone.
        model.train_function = model.test_function = None
        _log.warning("%s The training goes on from the last commit.", error)
        time.sleep(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**failures))
        return False
    finally:
        turns.drop()
        model.steps_to_pass = 0


def _take(turns: TakesTurns, given: dict[str, Any]) -> Trained:
    taken = turns.take()
    _check_order(taken, given)
    return taken.trained


def _check_order(taken: Taken, given: dict[str, Any]) -> None:
    """In the midst of an epoch one can go on only if the same batches come again."""
    in_epochs = taken.quota.unit == "epochs" and not taken.commit_every
    shuffles = given.get("shuffle", True) and not isinstance(given.get("x"), tf.data.Dataset)
    if shuffles and not in_epochs:
        raise ValueError(
            f"Turns of this run ({taken.quota}) end in the midst of an epoch, and `fit` shuffles arrays and "
            "PyDatasets in another way each time, so that after a fault it could not tell which rows are "
            "done. Pass `shuffle=False`, or a tf.data.Dataset shuffled with a seed and "
            "`reshuffle_each_iteration=False`."
        )


def _is_gone(x: Any) -> bool:
    """Whether data can be gone through once only."""
    return isinstance(x, Iterator) and not isinstance(x, keras.utils.PyDataset)
