"""A delta leads from its own base to its own result, to the last bit, and nowhere else."""

from __future__ import annotations

import hashlib
import json
import resource

import ml_dtypes
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_split.state import CorruptState, applied, difference, dump, state_digest
from keras_split.state.format import framed
from keras_split.state.packing import pack
from support.states import assert_same_bits, bundles, like, odd_floats

MIB = 1 << 20
BASE = {
    "layer/0:kernel": np.linspace(-1, 1, 6, dtype="f4").reshape(2, 3),
    "layer/seed": np.array([1, 2], "u4"),
    "half": np.array([1.5, -0.0], ml_dtypes.bfloat16),
    "optimizer/0:iteration": np.array(7, "i8"),
    "flags": np.array([True, False]),
    "nothing": np.empty((0, 3), "f8"),
}
RESULT = like(BASE, seed=3)
DELTA = difference(BASE, RESULT)


def forged(packed, **more):
    """Bytes with a right digest, and a body of one's own."""
    header = {
        "format": "keras_split.delta/1",
        "base": state_digest(BASE),
        "result": state_digest(RESULT),
        **more,
    }
    return b"".join(framed(header, [packed]))


def body_of(delta):
    return delta[delta.index(b"\n") + 1 : -32]


# What it leads to.


@settings(max_examples=100)
@given(bundles(), st.integers(0, 2**32 - 1))
def test_a_delta_leads_to_the_very_result(base, seed):
    result = like(base, seed)
    before = state_digest(base)
    assert_same_bits(result, applied(base, difference(base, result), MIB))
    assert state_digest(base) == before


def test_payloads_of_nan_and_signs_of_zero_survive():
    odd = odd_floats()
    for other in ({name: each[::-1] for name, each in odd.items()}, like(odd, seed=1)):
        assert_same_bits(other, applied(odd, difference(odd, other), MIB))
        assert_same_bits(odd, applied(other, difference(other, odd), MIB))


def test_where_sums_of_floats_round_the_bits_do_not():
    random = np.random.default_rng(0)
    base = {"kernel": random.normal(size=10_000).astype("f4")}
    result = {"kernel": base["kernel"] * np.float32(0.9) + np.float32(1e-3)}
    # What an arithmetic difference would have come to.
    rounded = base["kernel"] + (result["kernel"] - base["kernel"])
    assert (rounded != result["kernel"]).any()
    assert_same_bits(result, applied(base, difference(base, result), MIB))


def test_deltas_in_a_row_lead_to_the_last_state():
    states = [like(BASE, seed) for seed in range(5)]
    deltas = [difference(*pair) for pair in zip(states, states[1:], strict=False)]
    found = states[0]
    for delta in deltas:
        found = applied(found, delta, MIB)
    assert_same_bits(states[-1], found)
    # Exclusive or would not mind the order; the digests do.
    with pytest.raises(CorruptState, match="made for another state"):
        applied(states[0], deltas[1], MIB)


def test_an_unchanged_state_travels_as_almost_nothing():
    base = {"kernel": np.random.default_rng(0).normal(size=MIB).astype("f4")}
    delta = difference(base, base)
    assert len(delta) < 1024
    assert_same_bits(base, applied(base, delta, 8 * MIB))


def test_small_steps_travel_in_fewer_bytes_than_the_state():
    random = np.random.default_rng(0)
    base = {"kernel": random.normal(size=100_000).astype("f4")}
    result = {"kernel": base["kernel"] * (1 + 1e-4 * random.normal(size=100_000)).astype("f4")}
    assert len(difference(base, result)) < 0.7 * len(dump(result))


def test_order_does_not_show():
    backwards = dict(reversed(BASE.items())), dict(reversed(RESULT.items()))
    assert difference(*backwards) == DELTA
    assert_same_bits(RESULT, applied(backwards[0], DELTA, MIB))


def test_the_result_shares_no_memory_with_the_base():
    found = applied(BASE, difference(BASE, BASE), MIB)
    found["layer/0:kernel"] += 1
    assert BASE["layer/0:kernel"][0, 0] == -1


OTHERS = {
    "name": {**BASE, "more": np.zeros(1, "f4")},
    "fewer": {name: each for name, each in BASE.items() if name != "flags"},
    "shape": {**BASE, "half": np.zeros((2, 1), ml_dtypes.bfloat16)},
    "dtype": {**BASE, "half": np.zeros(2, "f2")},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_states_of_other_models_have_no_difference(other):
    for pair in ((BASE, other), (other, BASE)):
        with pytest.raises(ValueError, match="two states of one model.*full state instead. Received: '"):
            difference(*pair)


def test_the_difference_is_named_and_no_value_is():
    with pytest.raises(ValueError, match=r"Received: 'half' as bfloat16\[2\] and as float16\[2\]\."):
        difference(BASE, OTHERS["dtype"])
    with pytest.raises(ValueError, match=r"Received: 'flags' as bool\[2\] and as absent\."):
        difference(BASE, OTHERS["fewer"])


# Other bases.


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_state_of_another_model_is_no_base(other):
    with pytest.raises(CorruptState, match="made for another state.*Ask for a full state"):
        applied(other, DELTA, MIB)


def test_a_base_that_differs_in_one_bit_is_refused():
    half = BASE["half"].copy()
    half[1] = 0.0
    with pytest.raises(CorruptState, match="made for another state"):
        applied({**BASE, "half": half}, DELTA, MIB)


def test_a_delta_is_not_applied_twice():
    with pytest.raises(CorruptState, match="made for another state"):
        applied(applied(BASE, DELTA, MIB), DELTA, MIB)


def test_a_result_other_than_promised_is_refused():
    with pytest.raises(CorruptState, match="does not lead to the state that it names"):
        applied(BASE, forged(body_of(difference(BASE, like(BASE, seed=4)))), MIB)


# Hostile bytes.


def test_every_flipped_byte_is_noticed():
    for at in range(len(DELTA)):
        damaged = bytearray(DELTA)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(CorruptState, match="The delta is damaged"):
            applied(BASE, bytes(damaged), MIB)


def test_every_flipped_byte_under_a_new_digest_is_noticed_as_well():
    """As a member would flip it, who can compute digests: no other state comes out."""
    content = DELTA[:-32]
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(CorruptState):
            applied(BASE, bytes(damaged) + hashlib.sha256(damaged).digest(), MIB)


def test_every_missing_or_additional_end_is_noticed():
    for damaged in [*(DELTA[:size] for size in range(len(DELTA))), DELTA + b"\0", DELTA + DELTA]:
        with pytest.raises(CorruptState):
            applied(BASE, damaged, MIB)


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_body_is_refused_in_one_way(packed):
    with pytest.raises(CorruptState):
        applied(BASE, forged(packed), MIB)


@pytest.mark.parametrize("value", [None, 3, [], "", {"a": 1}, "0" * 64])
@pytest.mark.parametrize("key", ["base", "result"])
def test_a_digest_that_is_none_is_refused(key, value):
    with pytest.raises(CorruptState):
        applied(BASE, forged(body_of(DELTA), **{key: value}), MIB)


def test_a_header_with_more_in_it_is_refused():
    with pytest.raises(CorruptState, match="more than these"):
        applied(BASE, forged(body_of(DELTA), tensors=[]), MIB)


def test_a_full_state_is_no_delta():
    with pytest.raises(CorruptState, match="not a state of this version"):
        applied(BASE, dump(RESULT), MIB)


def test_booleans_stay_zero_or_one():
    base, result = {"flag": np.array([True])}, {"flag": np.array([2], "u1").view("?")}
    with pytest.raises(CorruptState, match="booleans other than 0 and 1"):
        applied(base, difference(base, result), MIB)


def test_a_delta_names_digests_and_no_variable():
    header = json.loads(DELTA[: DELTA.index(b"\n")])
    assert header == {
        "format": "keras_split.delta/1",
        "base": state_digest(BASE),
        "result": state_digest(RESULT),
    }


def test_sizes_are_bounded():
    total = sum(each.nbytes for each in BASE.values())
    assert_same_bits(RESULT, applied(BASE, DELTA, max(total, len(DELTA))))
    with pytest.raises(CorruptState, match=f"{len(DELTA)} bytes; at most {len(DELTA) - 1}"):
        applied(BASE, DELTA, len(DELTA) - 1)
    base = {"kernel": np.zeros(MIB + 1, "u1")}
    with pytest.raises(CorruptState, match=f"state of {MIB + 1} bytes; at most {MIB}"):
        applied(base, difference(base, base), MIB)


@pytest.mark.parametrize("size", [0, 1, 45, 47, 2**20])
def test_a_body_of_another_size_than_the_base_is_refused(size):
    packed = zstandard.ZstdCompressor().compress(bytes(size))
    with pytest.raises(CorruptState, match=f"packs {size} bytes, where 46 are expected"):
        applied(BASE, forged(packed), MIB)


def test_a_bomb_is_not_unpacked():
    """One that declares its 256 MiB, and one that hides them behind a frame of the right size."""
    bomb = zstandard.ZstdCompressor().compressobj(size=256 * MIB)
    declared = b"".join(bomb.compress(bytes(MIB)) for _ in range(256)) + bomb.flush()
    hidden = pack([np.zeros(46, "u1")]) + declared
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for packed in (declared, hidden):
        with pytest.raises(CorruptState, match="packs"):
            applied(BASE, forged(packed), MIB)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_members_of_different_item_sizes_are_not_confused():
    """All widths in one state, each with values that show their place."""
    base = {
        f"{kind}/{at}": np.arange(at, at + 3).astype(kind)
        for kind in ("u1", "u2", "u4", "u8")
        for at in (0, 9)
    }
    result = {name: each[::-1].copy() for name, each in base.items()}
    assert_same_bits(result, applied(base, difference(base, result), MIB))
