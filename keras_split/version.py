"""The installed version."""

from __future__ import annotations

from importlib import metadata


def package_version() -> str:
    """Of keras_split, as pip knows it."""
    try:
        return metadata.version("keras-split")
    except metadata.PackageNotFoundError:
        return "0+source"
