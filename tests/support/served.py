"""A served body in this process, and what a client would say to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message
from keras_split.model.settings import common_settings
from keras_split.numerics import Numerics
from keras_split.partition import partition
from keras_split.segment import Input, Shadow
from keras_split.segment.shadow import ShadowStep
from keras_split.server.options import ServingOptions
from keras_split.server.served import Served
from keras_split.server.training import Training
from keras_split.session import Exchange
from keras_split.state import Shelf

ROWS = 2


def settings(optimizer: Any = "sgd") -> str:
    """Of a client."""
    return json.dumps(common_settings(_model(optimizer).get_compile_config()))


def serve(
    folder: Path,
    *,
    label_free: bool = False,
    owned: bool = False,
    place: Any = None,
    optimizer: Any = "sgd",
    check: Any = None,
    **options: Any,
) -> Served:
    """A body of one layer behind the cut."""
    parts = partition(_model("sgd"), "low", "high" if label_free else None)
    shelf, serving = Shelf(folder), ServingOptions(**options)
    given = parts.topology(), parts.body, Numerics.current(), shelf, serving, place
    body = Served(*given, placed={} if owned else None, check=check)
    body.settle(settings(optimizer))
    return body


# A tail of one layer and a loss.
ONE_LAYER = Shadow((ShadowStep((0,), 1, (0,)),), data=1, made=(("", True),))


def begin(served: Served, turn: int = 0, client: str = "owner") -> Training:
    """The conversation of a new connection."""
    header = pb.Begin(client=client, topology_digest=served.digest, turn=turn)
    return Training(served, Message(pb.Header(begin=header), []))


def prepared(served: Served, *, label_free: bool = False) -> str:
    """Signature of a training step."""
    smashed, label = Input("smashed", (None, 3), "float32"), Input("label", (None, 1), "float32")
    exchange = Exchange(
        "train", (smashed,), None if label_free else label, None, True, (0,) * label_free, ONE_LAYER
    )
    return served.prepare(exchange.request("", served.digest)).signature


def step(
    served: Served, signature: str, version: int = 0, number: int = 77, *, label_free: bool = False
) -> Message:
    """A request for a step."""
    header = pb.Step(signature=signature, version=version, step=number, lineage=served.turns.lineage)
    tensors = [np.ones((ROWS, 3), "float32"), np.ones((ROWS, 1), "float32")]
    return Message(pb.Header(step=header), tensors[:1] if label_free else tensors)


def _model(optimizer: Any) -> keras.Model:
    names = {"low": 3, "high": 2, "top": 1}
    layers = [keras.layers.Dense(units, name=name) for name, units in names.items()]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer, "mse")
    return model
