"""Bytes from anybody: each decoder either accepts what was made or raises what it documents."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import contextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from keras_split.crypto import Link, Member, Pin, open_envelope, read_roster, seal, verify_chain
from keras_split.errors import EnvelopeRefused, RosterRefused
from support.sealed import BOB, CAROL, header, roster_file, roster_of, signed_again

ROSTER = roster_of(BOB, CAROL)
LINK, BLOB = seal(BOB, ROSTER, header(ROSTER, BOB), b"state of the client")
LINK_BYTES = LINK.to_bytes()
MEMBER_TEXT = BOB.member.to_json().encode()
ROSTER_TEXT = roster_file(BOB, CAROL).encode()
MOST_BYTES = 4 << 20

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


def mutated(original: bytes) -> st.SearchStrategy[bytes]:
    """Bytes near the original: a part cut out, and something else put in its place."""
    places = st.integers(0, len(original))
    parts = st.tuples(
        places, places, st.binary(max_size=24) | st.sampled_from([b'"', b"{", b"0", b"\\u0000"])
    )
    return parts.map(lambda part: original[: part[0]] + part[2] + original[part[0] + part[1] % 9 :])


def with_field(original: bytes) -> st.SearchStrategy[bytes]:
    """The same JSON with another value somewhere on its first two floors."""
    content = json.loads(original)
    paths = [(key,) for key in content]
    paths += [(key, inner) for key, value in content.items() if isinstance(value, dict) for inner in value]

    def changed(path: tuple[str, ...], value: object) -> bytes:
        copy = json.loads(original)
        place = copy
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        return json.dumps(copy, sort_keys=True, separators=(",", ":")).encode()

    return st.builds(changed, st.sampled_from(paths), VALUES)


LINK_BODY, _, SIGNATURE = LINK_BYTES.partition(b"\n")
LINKS = st.binary(max_size=200) | mutated(LINK_BYTES)
LINKS |= with_field(LINK_BODY).map(lambda body: body + b"\n" + SIGNATURE)
PAYLOAD = json.loads(ROSTER_TEXT)["epochs"][0]["payload"].encode()


def in_roster_file(payload: bytes) -> bytes:
    content = json.loads(ROSTER_TEXT)
    content["epochs"][0]["payload"] = payload.decode("latin-1")
    return json.dumps(content).encode()


ROSTERS = st.binary(max_size=200) | mutated(ROSTER_TEXT) | with_field(ROSTER_TEXT)
ROSTERS |= (mutated(PAYLOAD) | with_field(PAYLOAD)).map(in_roster_file)


@contextmanager
def bounded_memory():
    """No input above takes more than some megabytes, whatever it claims."""
    tracemalloc.start()
    try:
        yield
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST_BYTES


@settings(max_examples=150)
@given(LINKS)
def test_links(data):
    try:
        with bounded_memory():
            link = Link.read(data)
            assert link.to_bytes() == data
            verify_chain([link], None, [ROSTER], ROSTER.run, LINK.header.topology)
    except EnvelopeRefused:
        return
    assert data == LINK_BYTES


@settings(max_examples=100)
@given(st.binary(max_size=200) | mutated(MEMBER_TEXT) | with_field(MEMBER_TEXT))
def test_members(data):
    try:
        with bounded_memory():
            member = Member.from_json(data)
    except ValueError:
        return
    assert Member.from_json(member.to_json()) == member


@settings(max_examples=100)
@given(ROSTERS)
def test_rosters(data):
    try:
        with bounded_memory():
            roster = read_roster(data)
    except RosterRefused:
        return
    assert roster == ROSTER


@settings(max_examples=150)
@given(st.binary(max_size=200) | mutated(BLOB), st.booleans())
def test_envelopes(blob, is_signed):
    link = signed_again(BOB, LINK, blob) if is_signed else LINK
    try:
        with bounded_memory():
            opened = open_envelope(CAROL, ROSTER, link, blob)
    except EnvelopeRefused:
        return
    # Only the wrap of another member may differ, where the sender itself signed that.
    assert opened == b"state of the client" and blob[:6] + blob[86:] == BLOB[:6] + BLOB[86:]


@settings(max_examples=50)
@given(st.lists(LINKS, max_size=4), st.booleans())
def test_histories(links, is_pinned):
    pin = Pin.of(LINK) if is_pinned else None
    try:
        with bounded_memory():
            accepted = verify_chain(links, pin, [ROSTER], ROSTER.run, LINK.header.topology)
    except EnvelopeRefused:
        return
    assert [link.to_bytes() for link in accepted] == ([] if is_pinned else links)
