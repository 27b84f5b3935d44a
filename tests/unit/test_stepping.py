"""A step that fails before its answer leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import pytest

from keras_split.errors import Refused
from keras_split.segment import Single, placement
from keras_split.state import read
from support.served import begin, prepared, serve, step


class Late(Single):
    """Answers after the update, as several devices do, and cannot join their replies."""

    answers_early = False

    def hand_over(self, receive: Callable[..., None], tensors: list[Any], before: Callable[[], None]) -> None:
        before()

    def gather(self, values: Sequence[Any], roles: Sequence[str]) -> list[Any]:
        raise ValueError("They cannot be joined.")


@pytest.mark.parametrize("nan", ["allow", "refuse"])
def test_a_step_whose_reply_cannot_be_made_is_taken_back(tmp_path: Path, nan: str) -> None:
    served = serve(tmp_path, place=Late(), nan=nan)
    name = prepared(served)
    before = read(served.variables())
    with pytest.raises(ValueError, match="cannot be joined"):
        begin(served)._answer(step(served, name))
    after = read(served.variables())
    assert [each for each in before if (before[each] != after[each]).any()] == []
    assert served.turns.version == 0
    served.check()
    served.engine.stop()


def test_several_devices_refuse_an_optimizer_that_looks_at_all_gradients(tmp_path: Path) -> None:
    served = serve(tmp_path, place=placement("mirrored"), optimizer=keras.optimizers.SGD(global_clipnorm=1.0))
    with pytest.raises(Refused, match="looks at all gradients.*is served on one device"):
        prepared(served)
