"""A client's state comes to the next one to the last bit, and hostile bytes come to nothing."""

from __future__ import annotations

import hashlib
import resource
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_split.state import CorruptState, dump, parse, state_digest
from keras_split.state.format import framed, header_line
from keras_split.state.packing import pack, unpack
from support.states import arrays, assert_same_bits, bundles, like, odd_floats

MIB = 1 << 20
BUNDLE = {
    "layer/0:kernel": np.arange(6, dtype="f4").reshape(2, 3),
    "layer/seed": np.array([1, 2], "u4"),
    "half": np.array([1.5, np.nan], ml_dtypes.bfloat16),
    "optimizer/0:iteration": np.array(7, "i8"),
    "flags": np.array([True, False]),
    "nothing": np.empty((0, 3), "f8"),
}


def zeros(count):
    return zstandard.ZstdCompressor().compress(bytes(count))


def frame_of(count, window_log, content):
    """A frame of Zstandard made by hand, with one raw block (RFC 8878, section 3.1.1)."""
    head = b"\x28\xb5\x2f\xfd\xc0" + bytes([(window_log - 10) << 3]) + count.to_bytes(8, "little")
    return head + (len(content) << 3 | 1).to_bytes(3, "little") + content


def forged(tensors, packed=b"", **more):
    """Bytes with a right digest and a header of one's own."""
    header = {"format": "keras_split.client/1", "tensors": tensors, **more}
    return b"".join(framed(header, [packed]))


def forged_line(line, packed=b""):
    content = line + b"\n" + packed
    return content + hashlib.sha256(content).digest()


def peak_bytes(call):
    """Python's and NumPy's memory at its highest while something is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(CorruptState):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# What comes back.


@settings(max_examples=60)
@given(bundles())
def test_any_state_comes_back_to_the_last_bit(bundle):
    assert_same_bits(bundle, parse(dump(bundle), MIB))


def test_payloads_of_nan_and_signs_of_zero_come_back():
    assert_same_bits(odd_floats(), parse(dump(odd_floats()), MIB))


def test_states_larger_than_a_block_of_zstandard_come_back():
    random = np.random.default_rng(0)
    bundle = {
        "kernel": random.normal(size=(700, 500)).astype("f4"),
        "zeros": np.zeros(300_000, "f8"),
        "mask": random.random(200_001) < 0.5,
        "half": random.normal(size=99_999).astype("f2"),
    }
    data = dump(bundle)
    assert_same_bits(bundle, parse(data, 8 * MIB))
    assert len(data) < sum(each.nbytes for each in bundle.values())


def test_what_comes_back_can_be_written_to_and_shares_nothing():
    bundle = {"a": np.zeros(3, "f4"), "b": np.zeros(3, "f4")}
    found = parse(dump(bundle), MIB)
    found["a"] += 1
    assert not found["b"].any() and not bundle["a"].any()


def test_order_and_memory_layout_do_not_show():
    kernel = np.arange(12, dtype="f4").reshape(3, 4)
    one = {"kernel": kernel, "bias": np.ones(4, "f4")}
    other = {"bias": np.ones(8, "f4")[::2], "kernel": np.asfortranarray(kernel)}
    foreign = {"bias": np.ones(4, ">f4"), "kernel": kernel.astype(">f4")}
    assert dump(one) == dump(other) == dump(foreign)
    assert state_digest(one) == state_digest(other) == state_digest(foreign)


def test_a_number_is_an_array_without_dimensions():
    assert_same_bits({"iteration": np.array(7)}, parse(dump({"iteration": np.int64(7)}), MIB))


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([object()]), np.array([1j])], ids=["text", "object", "complex"]
)
def test_a_dtype_that_no_state_may_hold_is_refused_when_written(array):
    for write in (dump, state_digest):
        with pytest.raises(ValueError, match="cannot hold 'odd'.*Allowed dtypes.*Received: dtype="):
            write({"odd": array})


@pytest.mark.parametrize("name", ["\ud800", "n" * 1025, 3], ids=["surrogate", "long", "number"])
def test_a_name_that_no_reader_takes_is_refused_when_written(name):
    with pytest.raises(ValueError, match="names are texts of at most 1024"):
        dump({name: np.zeros(1)})


def test_more_names_than_a_reader_takes_are_refused_when_written():
    many = {f"{at:01000d}": np.int8(0) for at in range(4200)}
    with pytest.raises(ValueError, match="header takes .* Use fewer variables"):
        dump(many)


# The digest.


def test_the_digest_is_of_a_fixed_form():
    """Other programs compute it too: a change of the form is a change of the protocol."""
    line = (
        b'{"format": "keras_split.client-digest/1", '
        b'"tensors": [["a", "bfloat16", []], ["\\u00e4", "int16", [2]]]}\n'
    )
    bundle = {"ä": np.array([1, -2], "i2"), "a": np.array(1, ml_dtypes.bfloat16)}
    assert state_digest(bundle) == hashlib.sha256(line + b"\x80\x3f" + b"\x01\x00\xfe\xff").hexdigest()


@settings(max_examples=50)
@given(bundles(), st.randoms())
def test_the_digest_does_not_depend_on_the_order(bundle, random):
    names = list(bundle)
    random.shuffle(names)
    assert state_digest({name: bundle[name] for name in names}) == state_digest(bundle)


@settings(max_examples=60)
@given(bundles(), st.data())
def test_the_digest_depends_on_every_bit(bundle, data):
    holding = [name for name, each in bundle.items() if each.size and each.dtype != np.bool_]
    if not holding:
        return
    name = data.draw(st.sampled_from(holding))
    raw = bytearray(bundle[name].tobytes())
    at = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[at // 8] ^= 1 << at % 8
    changed = np.frombuffer(raw, bundle[name].dtype).reshape(bundle[name].shape)
    assert state_digest({**bundle, name: changed}) != state_digest(bundle)


def test_the_digest_depends_on_names_dtypes_and_shapes():
    same_bytes = [
        {"a": np.zeros(4, "f4")},
        {"b": np.zeros(4, "f4")},
        {"a": np.zeros(4, "i4")},
        {"a": np.zeros((2, 2), "f4")},
        {"a": np.zeros(2, "f8")},
        {"a": np.zeros(2, "f4"), "b": np.zeros(2, "f4")},
        {"a": np.zeros(4, "f4"), "b": np.zeros(0, "f4")},
        {},
    ]
    assert len({state_digest(each) for each in same_bytes}) == len(same_bytes)


# Hostile bytes.


def test_every_flipped_byte_is_noticed():
    data = dump(BUNDLE)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(CorruptState, match="The client state is damaged"):
            parse(bytes(damaged), MIB)


def test_every_missing_or_additional_end_is_noticed():
    data = dump(BUNDLE)
    for damaged in [*(data[:size] for size in range(len(data))), data + b"\0", data + data]:
        with pytest.raises(CorruptState):
            parse(damaged, MIB)


@settings(max_examples=100)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused_in_one_way(content, is_packed_only):
    wrapped = forged([["a", "float32", [3]]], content) if is_packed_only else forged_line(content)
    with pytest.raises(CorruptState):
        parse(wrapped, MIB)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
TENSOR = st.tuples(
    st.sampled_from(["a", "b", "", 3]),
    st.sampled_from(["float32", "bool", "bfloat16", "object", "O", 4, None]),
    st.lists(st.sampled_from([0, 1, 2, -1, 2**31, 2**63, 2**64, 1.5, True, "2"]), max_size=4),
).map(list)


@settings(max_examples=200)
@given(st.lists(TENSOR | JSON, max_size=4) | JSON, st.integers(0, 64))
def test_any_header_is_refused_or_means_what_it_says(tensors, count):
    try:
        found = parse(forged(tensors, zeros(count)), MIB)
    except CorruptState:
        return
    assert [[name, each.dtype.name, list(each.shape)] for name, each in found.items()] == tensors
    assert sum(each.nbytes for each in found.values()) == count


ONE = ["a", "float32", [2]]
REFUSED = {
    "no-list": ({"a": 1}, "no list of tensors"),
    "two-of-a-name": ([ONE, ["b", "int8", [0]], ONE], "two tensors of one name"),
    "surrogate": ([["\ud800", "float32", [2]]], "no text"),
    "long-name": ([["n" * 1025, "float32", [2]]], "too long"),
    "name-of-number": ([[3, "float32", [2]]], "no text"),
    "object": ([["a", "object", [1]]], "dtype"),
    "structure": ([["a", "V8", [1]]], "dtype"),
    "list-as-dtype": ([["a", [["x", "f4"]], [1]]], "dtype"),
    "negative": ([["a", "float32", [-2]]], "shape"),
    "two-negatives": ([["a", "float32", [-1, -2]]], "shape"),
    "true": ([["a", "float32", [True, 2]]], "shape"),
    "fraction": ([["a", "float32", [2.0]]], "shape"),
    "text": ([["a", "float32", "2"]], "shape"),
    "rank": ([["a", "float32", [1] * 33]], "shape"),
    "wraps-to-8": ([["a", "float32", [2**32 + 1, 2**32, 2**32]]], "shape"),
    "empty-and-wraps": ([["a", "float32", [0, 2**62, 2**62]]], "shape"),
    "too-many": ([["a", "float32", [2**40]]], "at most 1048576"),
    "sum-too-many": ([["a", "uint8", [MIB]], ["b", "uint8", [1]]], "at most 1048576"),
    "fewer": ([["a", "float32", [1]]], "packs 8 bytes, where 4"),
    "more": ([["a", "float32", [3]]], "packs 8 bytes, where 12"),
    "four-parts": ([[*ONE, 1]], "without name, dtype and shape"),
}


@pytest.mark.parametrize(("tensors", "text"), REFUSED.values(), ids=REFUSED)
def test_a_header_that_lies_is_refused(tensors, text):
    with pytest.raises(CorruptState, match=text):
        parse(forged(tensors, zeros(8)), MIB)


def test_the_forger_of_these_tests_forges_well():
    found = parse(forged([ONE], zeros(8)), MIB)
    assert_same_bits({"a": np.zeros(2, "f4")}, found)


def test_booleans_are_zero_or_one():
    with pytest.raises(CorruptState, match="booleans other than 0 and 1"):
        parse(forged([["a", "bool", [2]]], pack([np.array([1, 2], "u1")])), MIB)


LINES = {
    "empty": b"",
    "list": b"[]",
    "deep": b"[" * 100_000,
    "digits": b'{"format": ' + b"1" * 5000 + b"}",
    "nan": b'{"format": "keras_split.client/1", "tensors": NaN}',
    "utf-16": '{"format": "keras_split.client/1", "tensors": []}'.encode("utf-16"),
    "more-keys": b'{"format": "keras_split.client/1", "tensors": [], "more": 1}',
    "fewer-keys": b'{"format": "keras_split.client/1"}',
    "other-format": b'{"format": "keras_split.client/2", "tensors": []}',
    "other-kind": b'{"format": "keras_split.delta/1", "base": "", "result": ""}',
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_line_that_is_no_header_is_refused(line):
    with pytest.raises(CorruptState):
        parse(forged_line(line, zeros(0)), MIB)


@pytest.mark.parametrize("count", [2**20 + 1, 2**32, 2**44, 2**61])
@pytest.mark.parametrize("max_bytes", [MIB, 2**62], ids=["bounded", "unbounded"])
def test_a_kilobyte_that_declares_gigabytes_takes_no_memory(count, max_bytes):
    """Whether the frame agrees with the header or not."""
    for packed in (frame_of(count, 20, bytes(8)), zeros(8)):
        data = forged([["a", "uint8", [count]]], packed)
        assert len(data) < 1024
        assert peak_bytes(lambda data=data: parse(data, max_bytes)) < 100_000


def test_a_bomb_is_not_unpacked_beyond_what_it_declares():
    """A frame of the right size, and after it one that holds 256 MiB of zeros in a few kilobytes."""
    bomb = zstandard.ZstdCompressor().compressobj()
    packed = zeros(8) + b"".join(bomb.compress(bytes(MIB)) for _ in range(256)) + bomb.flush()
    data = forged([ONE], packed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CorruptState, match="packs more than the 8 bytes"):
        parse(data, MIB)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_bomb_larger_than_allowed_is_refused_before_it_is_unpacked():
    data = dump({"a": np.zeros(16 * MIB, "u1")})
    assert len(data) < 4096
    assert peak_bytes(lambda: parse(data, MIB)) < 100_000


def test_a_frame_with_a_large_window_is_refused():
    """A decoder may set a window aside at once, whatever there is to unpack."""
    assert not parse(forged([ONE], frame_of(8, 23, bytes(8))), MIB)["a"].any()
    for window_log in (24, 27, 31):
        with pytest.raises(CorruptState, match="window"):
            parse(forged([ONE], frame_of(8, window_log, bytes(8))), MIB)


def test_a_long_header_is_not_parsed():
    line = b'{"format": "keras_split.client/1", "tensors": [' + b"[]," * 2_000_000 + b"[]]}"
    data = forged_line(line, zeros(0))
    assert peak_bytes(lambda: parse(data, MIB)) < 100_000


@pytest.mark.parametrize("cut", [1, 5, 1000])
def test_a_frame_that_ends_early_is_refused(cut):
    values = np.random.default_rng(0).integers(0, 2**32, 50_000, "u4")
    packed = pack([values])
    with pytest.raises(CorruptState):
        parse(forged([["a", "uint32", [50_000]]], packed[: len(packed) - cut]), MIB)


@settings(max_examples=60)
@given(st.lists(arrays(["u1", "u2", "u4", "u8"]).map(np.ravel), max_size=6))
def test_patterns_of_any_width_come_back_in_their_order(patterns):
    layouts = [(each.dtype.itemsize, each.size) for each in patterns]
    found = unpack(memoryview(pack(patterns)), layouts, "It")
    assert [each.tolist() for each in found] == [each.tolist() for each in patterns]


def test_a_header_is_one_line_of_ascii():
    line = header_line({"format": "any", "tensors": [["\n\u2028ä", "int8", []]]})
    assert line.isascii() and line.count(b"\n") == 1


def test_another_state_has_another_digest():
    assert state_digest(BUNDLE) != state_digest(like(BUNDLE, seed=1))
