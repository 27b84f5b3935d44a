"""Trains a draft whole and split, and looks for the smallest one that still differs."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf

import keras_split
from graphs.cuts import with_cuts
from graphs.draft import Draft
from graphs.draw import drawn
from keras_split.errors import SplitError
from support.batches import in_batches
from support.equality import assert_equal_training

_SEED = 5


@dataclass(frozen=True)
class Outcome:
    """Of one case.

    Args:
        number: Of the case.
        kind: `"equal"`, `"differs"`, `"refused"`, `"no cut"`, or `"not even whole"`: Keras cannot train it.
        why: What differs, or the reason of the refusal.
        draft: The case; None where it has no cut.
    """

    number: int
    kind: str
    why: str = ""
    draft: Draft | None = None


class _NotEvenWholeError(Exception):
    """Keras itself cannot train the model."""


def settle(rewriting: str) -> None:
    """Has TensorFlow rewrite graphs (`"on"`) or run them as written (`"off"`), here and on the server."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": rewriting == "off"})


def outcome(number: int) -> Outcome:
    """Draws the case of a number and compares."""
    draft = with_cuts(drawn(number))
    return Outcome(number, "no cut") if draft is None else compared(number, draft)


def compared(number: int, draft: Draft) -> Outcome:
    """Two epochs with validation, on the private server of this process."""
    try:
        with warnings.catch_warnings():
            # Of weights that no loss depends on, and the like.
            warnings.simplefilter("ignore")
            _train_both(draft)
    except _NotEvenWholeError as error:
        return Outcome(number, "not even whole", str(error.__cause__), draft)
    except AssertionError as error:
        return Outcome(number, "differs", str(error), draft)
    except (ValueError, SplitError) as error:
        return Outcome(number, "refused", str(error), draft)
    finally:
        keras.config.set_dtype_policy("float32")
        keras.backend.clear_session()
        gc.collect()
    return Outcome(number, "equal", "", draft)


def smallest(draft: Draft, differs: Callable[[Draft], bool]) -> Draft:
    """Leaves out one thing after another, as long as what is left still differs."""
    found = next((each for each in _smaller(draft) if differs(each)), None)
    return draft if found is None else smallest(found, differs)


def _smaller(draft: Draft) -> list[Draft]:
    fewer = [each for each in (draft.without(step.name) for step in draft.steps) if each is not None]
    plain = replace(draft, optimizer="keras.optimizers.SGD(0.1)")
    others = [each for each in (plain, replace(draft, second_cut=())) if each != draft]
    return [*fewer, *others]


def _train_both(draft: Draft) -> None:
    x, y = draft.data()
    data = in_batches(draft.batch, *(nest if len(nest) > 1 else nest[0] for nest in (x, y)))
    whole = draft.build()
    try:
        expected = _fit(whole, data)
    except Exception as error:
        raise _NotEvenWholeError from error
    given = draft.build()
    split = keras_split.SplitModel(given, list(draft.cut), list(draft.second_cut) or None)
    try:
        split.compile_from_config({**given.get_compile_config(), "jit_compile": "auto"})
        assert_equal_training(whole, split, expected, _fit(split, data))
    finally:
        split.close()


def _fit(model: Any, data: Any) -> Any:
    keras.utils.set_random_seed(_SEED)
    return model.fit(data, epochs=2, shuffle=False, verbose=0, validation_data=data.take(1))
