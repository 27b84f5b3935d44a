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


@pytest.fixture
def clients(shared_server):
    """Connects a new client, or a half that was loaded; closes it."""
    made = []

    def connect(half=SplitModel):
        made.append(half.connect(shared_server.address, shared_server.credentials()))
        return made[-1]

    yield connect
    for split in made:
        split.close()


@pytest.mark.parametrize("name", ["optimizer", "loss", "metrics"])
@pytest.mark.parametrize("is_new", [True, False])
def test_hostile_settings_are_refused_at_every_join(clients, monkeypatch, name, is_new) -> None:
    join = Session.join
    half = SplitModel if is_new else SplitModel.from_config(clients().get_config())

    def lying(session, settings=None):
        joined = join(session, settings)
        return dataclasses.replace(joined, settings={**joined.settings, name: HOSTILE})

    monkeypatch.setattr(Session, "join", lying)
    with pytest.raises(TopologyError, match=f"compile setting.*{name}"):
        clients(half).compile()
