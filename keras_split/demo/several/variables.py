"""Variables of a model in parts, and of the same model whole, under the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from keras_split.partition import named_variables, partition
from keras_split.state import Bundle, parse, read

_MOST_BYTES = 1 << 30


def of_client(split: Any) -> Bundle:
    """Head and tail of a split model."""
    parts = {"head": split.head, **({} if split.tail is None else {"tail": split.tail})}
    return _read(parts)


def of_body(kept: Bundle) -> Bundle:
    """The body, as a server has kept it."""
    return {f"body/{name}": each for name, each in kept.items() if not name.startswith("optimizer/")}


def in_parts(model: keras.Model, cut: str, second_cut: str | None) -> dict[str, Any]:
    """The variables of a whole model that is cut in thought."""
    parts = partition(model, cut, second_cut)
    found = {"head": parts.head.model, "body": parts.body.model}
    return _named(found if parts.tail is None else {**found, "tail": parts.tail.model})


def load(file: Path) -> Bundle:
    """What a data owner has kept."""
    return parse(file.read_bytes(), _MOST_BYTES)


def _read(parts: dict[str, Any]) -> Bundle:
    return read(_named(parts))


def _named(parts: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{part}/{name}": each
        for part, model in parts.items()
        for name, each in named_variables(model).items()
    }
