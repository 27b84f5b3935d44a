"""Certificates of a test's own, which it may spoil."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_split import certs


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """One authority with two clients."""
    certs.create(tmp_path / "pki", clients=["alice", "bob"])
    return tmp_path / "pki"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another authority, and a client of a name that the first one knows as well."""
    certs.create(tmp_path / "other", clients=["alice"])
    return tmp_path / "other"
