"""What a server reads from clients, and a client from its server: understood or refused, and nothing else."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import keras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits, Message, pack
from keras_split.errors import ERROR_METADATA, ProtocolError, SplitError, TopologyError
from keras_split.naming import topology_digest
from keras_split.numerics import Numerics
from keras_split.partition import named_variables, partition
from keras_split.segment import Input
from keras_split.server import ServingOptions, admission
from keras_split.server.hosting import Hosting
from keras_split.server.placed import read_placed
from keras_split.server.preparation import read_signature
from keras_split.server.service import SplitService
from keras_split.server.training import Training
from keras_split.session.joined import Joined
from keras_split.session.prepared import Exchange, Prepared
from keras_split.state import read
from keras_split.topology import validate
from keras_split.transport import Meter
from keras_split.turns import Turns
from support.fuzzing import MIB, bounded, changed, json_texts

LIMITS = Limits(max_tensors=8, max_rank=4, max_dimension=1024)
PLENTY = settings(max_examples=300)
SOME = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])

numbers = st.sampled_from([0, 1, 2, 3, 7, (1 << 31) - 1, (1 << 32) - 1])
sizes = st.sampled_from([-(1 << 63), -2, -1, 0, 1, 4, 1024, 1025, (1 << 63) - 1])
specs = st.builds(
    pb.TensorSpec,
    role=st.sampled_from(range(11)),
    dtype=st.sampled_from(range(15)),
    dims=st.lists(sizes, max_size=6) | st.just([-1, 4]),
    index=numbers,
    rank=st.lists(numbers, max_size=3),
)
HONEST = pb.TensorSpec(role=pb.SMASHED, dtype=pb.FLOAT32, dims=[-1, 4])
LABEL = pb.TensorSpec(role=pb.LABEL, dtype=pb.INT32, dims=[-1])
LOGITS = pb.TensorSpec(role=pb.LOGITS, dtype=pb.FLOAT32, dims=[-1, 4], index=1)
near_specs = st.sampled_from([HONEST, LABEL, LOGITS]) | specs

TENSOR = {"shape": [None, 4], "dtype": "float32", "mask": None, "is_output": False}
SHARING: dict[str, Any] = {
    "frontier": [TENSOR, {**TENSOR, "is_output": True}],
    "second_cut": [],
    "second_frontier": [],
    "kept": 0,
}
LABEL_FREE = {**SHARING, "second_cut": ["high"], "second_frontier": [TENSOR, TENSOR], "kept": 1}


@PLENTY
@given(
    st.lists(near_specs, max_size=10)
    | st.lists(near_specs, max_size=3).map(lambda more: [HONEST, HONEST, *more]),
    json_texts | st.sampled_from(["", "0", "null", '{"list": [0]}']),
    st.lists(numbers, max_size=3),
    st.sampled_from([SHARING, LABEL_FREE]),
)
def test_any_request_is_prepared_for_or_refused(
    inputs: list[pb.TensorSpec], structure: str, graded: list[int], topology: dict[str, Any]
) -> None:
    request = pb.PrepareRequest(
        mode=pb.TRAIN, inputs=inputs, labels_structure=structure, graded=graded, wants_cut_gradients=True
    )
    try:
        signature = bounded(lambda: read_signature(request, topology, LIMITS), 8 * MIB)
        signature.labels([each for each in signature.inputs if each.role == "label"])
    except ProtocolError:
        return
    assert len(signature.inputs) == len(inputs)
    for each in signature.inputs:
        assert len(each.shape) <= LIMITS.max_rank
        assert all(size is None or 0 < size <= LIMITS.max_dimension for size in each.shape)


def test_more_tensors_than_a_message_may_have_are_refused() -> None:
    request = pb.PrepareRequest(inputs=[HONEST, HONEST, *[LABEL] * LIMITS.max_tensors])
    with pytest.raises(ProtocolError, match="10 tensors in a request; at most 8"):
        read_signature(request, SHARING, LIMITS)


@PLENTY
@given(st.text(max_size=4), st.text(max_size=4), numbers, st.booleans())
def test_any_begin_begins_or_is_refused(model: str, client: str, turn: int, right: bool) -> None:
    turns = Turns(10.0, 1)
    served: Any = SimpleNamespace(
        digest="right", turns=turns, open_step=None, run=None, counters=SimpleNamespace(turns=0)
    )
    begin = pb.Begin(model=model, client=client, topology_digest="right" if right else client, turn=turn)
    try:
        Training(served, Message(pb.Header(begin=begin), []))
    except SplitError:
        assert turn or not right
        return
    assert right and turns.count == 1


EXCHANGE = Exchange("train", (Input("smashed", (None, 4), "float32"),) * 2)
OUTPUT = pb.TensorSpec(role=pb.OUTPUT, dtype=pb.FLOAT32, dims=[-1, 4])


@PLENTY
@given(
    st.lists(specs | st.sampled_from([OUTPUT, OUTPUT, LOGITS]), max_size=5),
    json_texts | st.sampled_from(["0", "null", '{"list": [0]}', '{"tuple": [0, 1]}']),
)
def test_any_reply_to_preparing_is_understood_or_refused(
    outputs: list[pb.TensorSpec], structure: str
) -> None:
    reply = pb.PrepareReply(signature="s", outputs=outputs, outputs_structure=structure)
    try:
        found = bounded(lambda: Prepared.of(reply, EXCHANGE), 8 * MIB)
    except ProtocolError:
        return
    places = {each.index for each in found.outputs if each.role == "output"}
    assert places == set(range(len(places)))
    for each in found.outputs:
        assert each.role not in ("logits", "mask") or each.index in places
        assert all(size is None or 0 < size <= 1 << 24 for size in each.shape or ())


@PLENTY
@given(json_texts, json_texts, json_texts, st.booleans())
def test_any_reply_to_joining_is_understood_or_refused(
    topology: str, compile_settings: str, body: str, digests: bool
) -> None:
    digest = "0" * 64
    if digests:
        try:
            found = json.loads(topology)
            digest = topology_digest(found) if isinstance(found, dict) else digest
        except (ValueError, RecursionError):
            return
    reply = pb.JoinReply(
        topology_json=topology, topology_digest=digest, settings_json=compile_settings, body_json=body
    )
    try:
        joined = bounded(lambda: Joined.of(reply, "here"), 8 * MIB)
    except (ProtocolError, TopologyError):
        return
    assert joined.digest == topology_digest(joined.topology)


def _whole() -> keras.Model:
    inputs = keras.Input((6,), name="tokens")
    hidden = layers.Embedding(9, 4, name="embed")(inputs)
    hidden = layers.GlobalAveragePooling1D(name="pool")(layers.Conv1D(4, 2, name="conv")(hidden))
    outputs = layers.Dense(2, name="high")(layers.Dropout(0.5, name="drop")(hidden))
    return keras.Model(inputs, outputs, name="whole")


@pytest.fixture(scope="module")
def placed() -> tuple[dict[str, Any], list[Any]]:
    """What an honest client places, with its state."""
    parts = partition(_whole(), "conv")
    variables = named_variables(parts.body.model)
    body = {
        "topology": parts.topology(),
        "body": parts.body.to_config(),
        "variables": list(variables),
        "paths": {name: each.path for name, each in variables.items()},
        "numerics": Numerics.current().to_config(),
        "modules": [],
    }
    return json.loads(json.dumps(body)), list(read(variables).values())


@settings(SOME, max_examples=150)
@given(st.data())
def test_any_change_of_a_topology_is_harmless_or_refused(placed: Any, data: Any) -> None:
    config = data.draw(changed(placed[0]["topology"]["head"]["model"]))
    try:
        bounded(lambda: validate(config), 8 * MIB)
    except TopologyError:
        return


@settings(SOME, max_examples=200)
@given(st.data())
def test_any_change_of_a_placed_body_is_looked_at_without_failing(placed: Any, data: Any) -> None:
    text = data.draw(changed(placed[0]).map(json.dumps) | json_texts)
    try:
        bounded(lambda: admission.clients().admit(read_placed(text), ""), 8 * MIB)
    except (ProtocolError, TopologyError):
        return


class Context:
    """Remembers how a call ended."""

    error = ""

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.error = dict(metadata)[ERROR_METADATA]

    def abort(self, code: Any, details: str) -> None:
        details.encode()
        raise RuntimeError(details)

    def is_active(self) -> bool:
        return True


@pytest.mark.filterwarnings("ignore")  # Keras has something to say about such models.
@settings(SOME, max_examples=40)
@given(st.data())
def test_no_body_makes_the_server_fail(placed: Any, tmp_path: Any, data: Any) -> None:
    """As the service sees it: what is not refused by its name would be a failure of the server."""
    text = data.draw(changed(placed[0]).map(json.dumps) | json_texts)
    state = placed[1][: data.draw(st.sampled_from([len(placed[1]), len(placed[1]), 0]))]
    context: Any = Context()
    hosting = Hosting(ServingOptions(), tmp_path, admission.clients())
    service = SplitService(hosting, Limits(), Meter())
    frames = pack(pb.Header(request=1, host=pb.Host(body_json=text)), state)
    try:
        list(service.Host(frames, context))
    except RuntimeError:
        assert context.error in ("ProtocolError", "TopologyError", "Refused")
    assert hosting.all() == []
