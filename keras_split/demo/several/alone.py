"""One machine that sees the same batches in the same order."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from keras_split.datasets import Dataset
from keras_split.demo.several.place import Place
from keras_split.demo.several.variables import in_parts
from keras_split.state import Bundle, read


@dataclass(frozen=True)
class Alone:
    """What it has come to.

    Args:
        scores: After each turn, named as those of `Span`.
        variables: All, by part and name.
    """

    scores: list[dict[str, float]]
    variables: Bundle


def train_alone(
    place: Place,
    cuts: tuple[str, str | None],
    start: Bundle,
    order: list[str],
    data: Dataset,
    batch_size: int,
) -> Alone:
    """Trains the server's model whole, on one data owner's rows after the other's.

    Args:
        place: Has the model and the rows.
        cuts: Where it was cut.
        start: What the clients began with.
        order: Who had each turn of an epoch.
        data: Its test rows.
        batch_size: Rows in a batch.
    """
    model: keras.Model = keras.models.load_model(place.model)
    variables = in_parts(model, *cuts)
    for name, value in start.items():
        variables[name].assign(value)
    rows = {member: place.rows(member) for member in set(order)}
    scores = [_turn(model, rows[member], data, batch_size) for member in order]
    return Alone(scores, read(variables))


def _turn(
    model: keras.Model, rows: tuple[np.ndarray, np.ndarray], data: Dataset, batch_size: int
) -> dict[str, float]:
    history = model.fit(*rows, shuffle=False, batch_size=batch_size, verbose=0).history
    tested = model.evaluate(data.x_test, data.y_test, batch_size=batch_size, verbose=0, return_dict=True)
    return {
        **{name: values[-1] for name, values in history.items()},
        **{f"test_{name}": value for name, value in tested.items()},
    }
