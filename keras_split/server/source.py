"""Where a server's model comes from."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

import keras


def load_model(source: str) -> keras.Model:
    """Loads a compiled model from a `.keras` file or builds it by `package.module:function`.

    Raises:
        ValueError: Neither; the text says what was expected.
    """
    if source.endswith(".keras"):
        return _from_file(Path(source))
    module, _, function = source.partition(":")
    if not function:
        raise ValueError(
            f"A model is given as a .keras file or as package.module:function. Received: model={source!r}."
        )
    return _from_function(module, function)


def _from_file(path: Path) -> keras.Model:
    if not path.is_file():
        raise ValueError(f"There is no file {str(path)!r}. Save one with `model.save({path.name!r})`.")
    with warnings.catch_warnings():
        # The body gets an optimizer of its own, so the file's variables are not needed.
        warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
        return keras.models.load_model(path)


def _from_function(module: str, function: str) -> keras.Model:
    try:
        build = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"Cannot import {function!r} from {module!r} ({error}). Is it installed, or in PYTHONPATH?"
        ) from None
    model = build()
    if not isinstance(model, keras.Model):
        raise ValueError(f"{module}:{function} returned a {type(model).__name__}, not a keras.Model.")
    return model
