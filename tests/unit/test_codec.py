"""Tensors survive the wire to the last bit, and nothing else gets through."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from unittest import mock

import ml_dtypes
import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import (
    Limits,
    flatten_structure,
    from_wire_dtype,
    pack,
    to_wire_dtype,
    unflatten_structure,
    unpack,
)
from keras_split.codec import frames as frames_module
from keras_split.errors import ProtocolError

MIB = 1 << 20
NATIVE = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
SHAPES = npst.array_shapes(min_dims=0, max_dims=8, max_side=3)


def as_bfloat16(array):
    return array.view(ml_dtypes.bfloat16)


native = st.sampled_from(NATIVE).flatmap(lambda dtype: npst.arrays(dtype, SHAPES))
# NaNs with a payload, infinities and subnormals among them.
bfloat16 = npst.arrays("u2", SHAPES).map(as_bfloat16)
tensors = st.lists(native | bfloat16, max_size=4)


def over_the_wire(frames):
    """As bytes, which is all that the other side gets."""
    return (pb.Frame.FromString(frame.SerializeToString()) for frame in frames)


def same_bits(expected, found):
    return (expected.dtype, expected.shape, expected.tobytes()) == (
        *(found.dtype, found.shape),
        found.tobytes(),
    )


@given(tensors, st.integers(1, 9))
def test_any_tensors_come_back_whatever_the_size_of_chunks(arrays, chunk):
    with mock.patch.object(frames_module, "CHUNK_BYTES", chunk):
        frames = list(over_the_wire(pack(pb.Header(request=7), arrays)))
    assert all(len(frame.data) <= chunk for frame in frames)
    stream = iter(frames)
    message = unpack(stream, Limits())
    assert message.header.request == 7
    assert len(message.tensors) == len(arrays)
    assert all(map(same_bits, arrays, message.tensors))
    assert unpack(stream, Limits()) is None


def test_messages_follow_each_other_on_one_stream():
    arrays = [np.arange(3, dtype="f4"), np.float64(2.5), np.ones((2, 2), bool)]
    stream = over_the_wire(frame for at in (1, 2) for frame in pack(pb.Header(request=at), arrays))
    for at in (1, 2):
        message = unpack(stream, Limits())
        assert message.header.request == at
        assert all(
            same_bits(np.asarray(each), found) for each, found in zip(arrays, message.tensors, strict=True)
        )
    assert unpack(stream, Limits()) is None


@pytest.mark.parametrize("change", [np.transpose, lambda each: each[::2, ::-1], np.asfortranarray])
def test_the_layout_in_memory_does_not_matter(change):
    array = change(np.arange(12, dtype="f4").reshape(3, 4))
    (found,) = unpack(over_the_wire(pack(pb.Header(), [array])), Limits()).tensors
    np.testing.assert_array_equal(array, found)


def test_the_byte_order_in_memory_does_not_matter():
    array = np.arange(5, dtype=">f4")
    (found,) = unpack(over_the_wire(pack(pb.Header(), [array])), Limits()).tensors
    assert same_bits(array.astype("<f4"), found)


def test_large_tensors_travel_in_pieces_of_a_mebibyte():
    array = np.arange(3 * MIB // 4 + 1, dtype="f4")
    frames = list(pack(pb.Header(), [array]))
    assert [len(frame.data) for frame in frames] == [MIB, MIB, MIB, 4]
    assert all(frame.ByteSize() < Limits().max_frame_bytes for frame in frames)
    assert same_bits(array, unpack(over_the_wire(frames), Limits()).tensors[0])


@pytest.mark.parametrize("dtype", [object, "S3", "U2", "c8", "M8[s]", [("a", "f4")]])
def test_other_dtypes_are_refused_before_they_travel(dtype):
    with pytest.raises(ValueError, match="Allowed: bfloat16, bool, float16"):
        list(pack(pb.Header(), [np.zeros(2, dtype)]))


def test_dtypes_are_a_closed_list():
    for number in range(1, 14):
        assert to_wire_dtype(from_wire_dtype(number)) == number
    for number in (0, 14, 99, -1):
        with pytest.raises(ProtocolError, match="unknown dtype"):
            from_wire_dtype(number)


# What a peer may send that a well-behaved one would not.


def tensor(*dims, dtype=pb.UINT8):
    return pb.Tensor(dtype=dtype, dims=dims)


def message(*specs, data=b""):
    return [pb.Frame(header=pb.Header(tensors=specs), data=data)]


HALF = message(tensor(4), data=b"ab")
TIGHT = Limits(max_message_bytes=100, max_tensors=3, max_rank=2, max_dimension=50)

MALFORMED = {
    "no header": ([pb.Frame(data=b"x")], "must begin with"),
    "too many tensors": (message(*[tensor(1)] * 4, data=b"abcd"), "4 tensors.*at most 3"),
    "no dtype": (message(pb.Tensor(dims=[1]), data=b"x"), "unknown dtype number 0"),
    "an unknown dtype": (message(tensor(1, dtype=77), data=b"x"), "unknown dtype number 77"),
    "too many dimensions": (message(tensor(1, 1, 1), data=b"x"), "rank 3; at most 2"),
    "an empty dimension": (message(tensor(2, 0)), "sizes are from 1 to 50"),
    "a large dimension": (message(tensor(51), data=b"x" * 51), "sizes are from 1 to 50"),
    "a large tensor": (message(tensor(50, 3)), "150 bytes exceeds the limit of 100"),
    "large together": (message(tensor(50), tensor(50), tensor(1)), "101 bytes exceeds"),
    "more than declared": (message(tensor(2), data=b"abc"), "more than the 2 bytes"),
    "data without tensors": (message(data=b"a"), "more than the 0 bytes"),
    "more in a later frame": ([*HALF, pb.Frame(data=b"cde")], "more than the 4 bytes"),
    "less than declared": (HALF, "ended after 2 of 4"),
    "another header": ([*HALF, *message(tensor(2), data=b"cd")], "ended after 2 of 4"),
    "an empty frame": ([*HALF, pb.Frame(), pb.Frame(data=b"cd")], "ended after 2 of 4"),
    "a bool of two": (message(tensor(2, dtype=pb.BOOL), data=b"\x01\x02"), "other than 0 and 1"),
}


@pytest.mark.parametrize(("frames", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_messages_are_refused(frames, reason):
    with pytest.raises(ProtocolError, match=reason):
        unpack(over_the_wire(frames), TIGHT)


def test_what_is_within_the_limits_is_taken():
    frames = message(tensor(50), tensor(5, 9), tensor(5), data=b"\x01" * 100)
    assert [each.shape for each in unpack(over_the_wire(frames), TIGHT).tensors] == [*((50,), (5, 9), (5,))]


def test_sizes_are_multiplied_without_wrapping_around():
    # In 64 bits the product would be 0.
    hostile = message(tensor(*[1 << 24] * 8, dtype=pb.FLOAT64))
    with pytest.raises(ProtocolError, match=f"{(1 << 24) ** 8 * 8} bytes exceeds"):
        unpack(over_the_wire(hostile), Limits())


def test_a_claim_takes_no_memory():
    claim = message(tensor(1 << 10, MIB))
    before = resident_bytes()
    with pytest.raises(ProtocolError, match=f"ended after 0 of {1 << 30}"):
        unpack(over_the_wire(claim), Limits())
    grown = resident_bytes() - before

    frames = over_the_wire([*claim, pb.Frame(data=b"x" * MIB)])
    with pytest.raises(ProtocolError, match=f"ended after {MIB} of"):
        unpack(frames, Limits())
    assert grown < 16 * MIB
    assert resident_bytes() - before < 16 * MIB


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@settings(max_examples=300)
@given(st.data())
def test_damaged_messages_are_refused_or_harmless(data):
    arrays = [np.arange(6, dtype="f4").reshape(2, 3), np.ones(3, bool)]
    raw = [bytearray(frame.SerializeToString()) for frame in pack(pb.Header(), arrays)]
    at = data.draw(st.integers(0, len(raw[0]) - 1))
    raw[0][at] ^= data.draw(st.integers(1, 255))
    try:
        found = unpack((pb.Frame.FromString(bytes(each)) for each in raw), TIGHT)
    except (ProtocolError, DecodeError):
        return
    assert sum(each.nbytes for each in found.tensors) <= TIGHT.max_message_bytes


# Nests.

leaves = st.none() | st.integers(100, 999)
nests = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(nests)
def test_nests_come_back(nest):
    flat, text = flatten_structure(nest)
    assert unflatten_structure(flat, text) == nest
    assert all(isinstance(each, int) for each in flat)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "0", "-1", "1.5", '"a"', "[0]", '{"set": [0]}', '{"list": 0}', '{"dict": [0]}'),
        *('{"list": {"a": 0}}', '{"list": [0], "tuple": []}', "{}", "9" * 40, "NaN"),
        "[" * 30_000,
        json.dumps({"list": [0] * 40_000}),
    ],
)
def test_nests_that_make_no_sense_are_refused(text):
    with pytest.raises(ProtocolError):
        unflatten_structure([], text)


@given(
    st.text(max_size=40)
    | st.recursive(
        st.integers(-2, 2) | st.text(max_size=4),
        lambda inner: st.dictionaries(
            st.sampled_from(["dict", "list", "tuple", "x"]), inner | st.lists(inner)
        ),
        max_leaves=6,
    ).map(json.dumps)
)
def test_no_text_breaks_the_reader(text):
    with contextlib.suppress(ProtocolError):
        unflatten_structure(["leaf"], text)


def test_a_step_of_lenet_costs_at_most_a_hundredth_beyond_its_tensors():
    frontier = np.zeros((32, 4, 4, 50), np.float32)  # Behind `pool2`, for a batch of MNIST.
    labels = np.zeros((32, 1), np.int64)
    step = pb.Step(
        signature="f" * 64, version=1 << 20, learning_rate=0.01, step=(1 << 64) - 1, lineage=(1 << 64) - 1
    )
    up = pack(pb.Header(request=1 << 20, step=step), [frontier, labels])
    down = pack(pb.Header(request=1 << 20, stepped=pb.Stepped(version=1 << 20)), [frontier])
    for frames, tensors in ((up, [frontier, labels]), (down, [frontier])):
        sent = sum(len(each.SerializeToString()) for each in frames)
        carried = sum(each.nbytes for each in tensors)
        assert carried < sent <= 1.01 * carried
