"""What only these tests need."""

from __future__ import annotations

import pytest
import tensorflow as tf


@pytest.fixture
def no_graph_rewriting():
    """TensorFlow runs graphs as they are written; a private server of its own does likewise.

    Left to itself, TensorFlow fuses neighbouring operations into kernels that round in another way,
    and what a cut keeps apart it cannot fuse.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
