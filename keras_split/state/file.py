"""State on disk: written whole or not at all, and never trusted without its digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_split.durable import written
from keras_split.state.bundle import Bundle
from keras_split.state.format import CorruptState, framed, unframed
from keras_split.state.tensors import bits, listed, specs_of, split_up, unlisted

_FORMAT = "keras_split.state/1"


def save(path: Path, bundle: Bundle, metadata: dict[str, Any]) -> None:
    """Writes a file that is either complete or absent, also after a power cut.

    Args:
        path: Where to; its folder must exist.
        bundle: Arrays by name.
        metadata: JSON-ready.
    """
    with written(path) as file:
        _write(file, bundle, metadata)


def load(path: Path) -> tuple[Bundle, dict[str, Any]]:
    """Reads what `save` wrote.

    Raises:
        CorruptState: The digest, the header or a length is wrong.
    """
    header, raw = unframed(path.read_bytes(), _FORMAT, {"metadata", "tensors"}, str(path))
    if not isinstance(header["metadata"], dict):
        raise CorruptState(f"{path} has no metadata.")
    specs = unlisted(header["tensors"], len(raw), str(path))
    return split_up(specs, raw, str(path)), header["metadata"]


def _write(file: Any, bundle: Bundle, metadata: dict[str, Any]) -> None:
    header = {"format": _FORMAT, "metadata": metadata, "tensors": listed(specs_of(bundle))}
    for piece in framed(header, (bits(array) for array in bundle.values())):
        file.write(piece)
