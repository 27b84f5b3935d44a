"""What holds for every test: one CPU, and nothing left behind for the next test."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import hypothesis
import pytest

from support.nursery import open_nursery

# The promise is for one CPU: with several threads the order of a sum is the scheduler's choice, and
# then even two whole models differ. The environment reaches the private server as well.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# An example that takes long on a busy machine is no fault.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """All workers have one nursery, which loads TensorFlow while they do; unit tests start no processes."""
    others = [each for each in config.args if "unit" not in Path(each).parts]
    if others and getattr(config.option, "numprocesses", None):
        open_nursery()


def pytest_collection_finish() -> None:
    """Private servers are forks, where they are tested at all.

    And TensorFlow's million objects are there to stay, and need not be looked through again and again.
    """
    if "keras_split.local" in sys.modules:
        from support.private_servers import fork_them

        fork_them()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def keras_as_found():
    """Takes Keras' global settings back to their defaults after each test."""
    yield
    # Tests of the pure rooms never import Keras, and need not wait for it.
    keras = sys.modules.get("keras")
    if keras is not None:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """Certificates of one authority."""
    from keras_split import certs

    folder = tmp_path_factory.mktemp("certificates") / "pki"
    certs.create(folder, clients=["owner"])
    return folder


@pytest.fixture
def strictly_exact():
    """TensorFlow runs graphs as they are written, on a private server of this setting as well."""
    from keras_split import set_exactness

    set_exactness("strict")
    yield
    set_exactness("default")
