"""What a server process does with the options that concern all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc
import keras
import pytest
import tensorflow as tf
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from keras_split.codec import Limits
from keras_split.server import process
from keras_split.server.process import ServerOptions
from keras_split.transport import SERVICE, Listener

SECONDS = 100


@contextlib.contextmanager
def services_of(options: ServerOptions) -> Iterator[grpc.Call]:
    """The answer to who asks which services there are."""
    listener = Listener(options.address, None, Limits())
    process._add_health(listener, options)
    listener.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{listener.port}") as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            yield stub.ServerReflectionInfo(iter([request]), timeout=SECONDS)
    finally:
        listener.stop(0)


def test_reflection_names_the_services_where_it_was_asked_for() -> None:
    with services_of(ServerOptions(insecure=True, reflection=True)) as answers:
        names = {each.name for each in next(answers).list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names


def test_reflection_does_not_answer_where_nobody_asked_for_it() -> None:
    with (
        services_of(ServerOptions(insecure=True)) as answers,
        pytest.raises(grpc.RpcError) as caught,
    ):
        next(answers)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("deterministic", [True, False])
def test_deterministic_reaches_tensorflow(deterministic: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # The real one would hold for all tests of this process.
    enabled: list[bool] = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: enabled.append(True))
    process._prepare_tensorflow(ServerOptions(deterministic=deterministic))
    assert enabled == [True] * deterministic


def test_a_head_that_clients_would_build_otherwise_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    low = keras.layers.Dense(4, activation=keras.ops.gelu, name="low")
    model = keras.Sequential([keras.Input((3,)), low, keras.layers.Dense(2, name="high")])
    model.compile("sgd", "mse")
    monkeypatch.setattr(process, "load_model", lambda source: model)
    with pytest.raises(ValueError, match="'low' of class Dense as another one"):
        process.serve_model("model.keras", ["low"], [], ServerOptions(), pytest.fail)
