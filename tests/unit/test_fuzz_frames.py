"""Bytes from a peer: whatever they are, a message or a refusal, in bounded memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Limits, declared_bytes, read_document, unflatten_structure, unpack
from keras_split.errors import ProtocolError
from support.fuzzing import MIB, bounded, json_texts

LIMITS = Limits(max_message_bytes=4096, max_tensors=8, max_rank=4, max_dimension=1024)

sizes = st.sampled_from([0, 1, 2, 3, 1023, 1024, 1025, 1 << 24, (1 << 63) - 1, (1 << 64) - 1])
tensors = st.builds(
    pb.Tensor,
    dtype=st.sampled_from([0, 1, 2, 3, 4, 5, 8, 12, 13, 14, 99]),
    dims=st.lists(sizes, max_size=6),
    model=st.sampled_from([0, 1, (1 << 32) - 1]),
)
contents = st.sampled_from(
    [{}, {"step": pb.Step()}, {"begin": pb.Begin()}, {"infer": pb.Infer()}, {"host": pb.Host(body_json="{")}]
)
headers = st.builds(
    lambda content, request, specs: pb.Header(request=request, tensors=specs, **content),
    contents,
    st.integers(0, (1 << 64) - 1),
    st.lists(tensors, max_size=10),
)
payloads = st.binary(max_size=64) | st.integers(0, 5000).map(bytes)
frames = st.builds(lambda header, data: pb.Frame(header=header, data=data), st.none() | headers, payloads)


@settings(max_examples=400)
@given(st.lists(frames, max_size=4))
def test_any_frames_are_a_message_or_refused(sent: list[pb.Frame]) -> None:
    try:
        found = bounded(lambda: unpack(iter(sent), LIMITS), MIB)
    except ProtocolError:
        return
    assert (found is None) == (not sent)
    if found is not None:
        assert sum(each.nbytes for each in found.tensors) == declared_bytes(sent[0].header, LIMITS)
        assert len(found.tensors) == len(sent[0].header.tensors)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(raw: bytes) -> None:
    try:
        found = unpack(iter([pb.Frame.FromString(raw)]), LIMITS)
    except (ProtocolError, DecodeError):
        return
    assert found is not None


@settings(max_examples=400)
@given(json_texts, st.integers(0, 4))
def test_any_text_is_a_nest_or_refused(text: str, count: int) -> None:
    try:
        nest = bounded(lambda: unflatten_structure(range(count), text), 8 * MIB)
    except ProtocolError:
        return
    assert all(type(leaf) is int and 0 <= leaf < count for leaf in _leaves(nest))


def _leaves(nest: Any) -> list[Any]:
    if isinstance(nest, dict):
        nest = list(nest.values())
    if isinstance(nest, (list, tuple)):
        return [leaf for child in nest for leaf in _leaves(child)]
    return [] if nest is None else [nest]


@settings(max_examples=400)
@given(json_texts, st.booleans())
def test_any_text_is_a_document_or_refused(text: str, finite: bool) -> None:
    try:
        found = bounded(lambda: read_document(text, "It", finite=finite), 8 * MIB)
    except ProtocolError:
        return
    assert type(found) is dict
    json.dumps(found, allow_nan=not finite)


@pytest.mark.parametrize(
    "text",
    [
        "[" + "[]," * (1 << 20) + "[]]",
        '{"a":' + "[[],[]," * (1 << 19),
        '{"a":"' + "x" * (4 * MIB) + '"}',
        "{" * (4 * MIB),
        '{"a": ' + "9" * (4 * MIB) + "}",
    ],
    ids=["many lists", "many and open", "one long text", "deep", "one long number"],
)
def test_a_frames_worth_of_text_takes_little_memory(text: str) -> None:
    def read() -> None:
        try:
            read_document(text, "It")
        except ProtocolError:
            return

    bounded(read, 12 * MIB)
