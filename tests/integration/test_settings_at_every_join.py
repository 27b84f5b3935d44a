"""A server cannot show its good settings first and others afterwards."""

from __future__ import annotations

import dataclasses

import pytest

from keras_split import SplitModel
from keras_split.errors import TopologyError
from keras_split.session import Session

# Keras would build it, with as many weights as the server likes.
HOSTILE = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"units": 7},
    "registered_name": None,
    "build_config": {"input_shape": [None, 5]},
}


@pytest.mark.parametrize("name", ["optimizer", "loss", "metrics"])
@pytest.mark.parametrize("at", [1, 2])
def test_hostile_settings_are_refused_at_every_join(shared_server, monkeypatch, name, at) -> None:
    join, joins = Session.join, []

    def lying(session, settings=None):
        joins.append(session)
        joined = join(session, settings)
        worse = {**joined.settings, name: HOSTILE}
        return dataclasses.replace(joined, settings=worse) if len(joins) >= at else joined

    monkeypatch.setattr(Session, "join", lying)
    with pytest.raises(TopologyError, match=f"compile setting.*{name}"):
        SplitModel.connect(shared_server.address, shared_server.credentials())
