"""Which heads of common tasks a client accepts from a server, and what crosses behind them."""

from __future__ import annotations

import keras
import pytest

import keras_split
from keras_split.errors import TopologyError
from keras_split.partition import partition
from keras_split.topology import validate
from support.tasks import measured, reading, segmenting, tabular, translating


def head(build, cut):
    return keras.saving.serialize_keras_object(partition(build(), cut).head.model)


@pytest.mark.parametrize(
    ("build", "cut"),
    [(measured, "low"), (translating, ["encode", "say"]), (segmenting, "pool2")],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_server_may_describe_a_head_of_numbers(build, cut):
    assert validate(head(build, cut)).parameters > 0


@pytest.mark.parametrize("build", [reading, tabular])
def test_a_server_may_not_describe_a_head_with_a_vocabulary(build):
    with pytest.raises(TopologyError, match="'string', which is not accepted"):
        validate(head(build, "low"))


def test_each_skip_connection_crosses_beside_the_cut():
    cut = next(each for each in keras_split.list_cuts(segmenting()) if each.name == "pool2")
    assert cut.shapes == ((None, 8, 8, 3), (None, 4, 4, 4), (None, 2, 2, 4))
    assert cut.bytes_per_sample == 4 * (8 * 8 * 3 + 4 * 4 * 4 + 2 * 2 * 4)
