"""Sealed state opens for members only, and only as it was sealed."""

from __future__ import annotations

import hashlib
import secrets
import tracemalloc
from dataclasses import replace
from itertools import permutations

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keras_split.crypto import Identity, Link, Trained, amend, chunks, open_envelope, read_rosters, seal
from keras_split.crypto import envelope as envelope_module
from keras_split.errors import (
    DamagedEnvelope,
    EnvelopeRefused,
    ForeignEnvelope,
    NotAMember,
    RosterRefused,
    SignatureRefused,
    WrongRecipients,
)
from support.sealed import (
    ALICE,
    BOB,
    CAROL,
    OTHER_RUN,
    OWNER,
    STRANGER,
    header,
    roster_file,
    roster_of,
    signed_again,
)
from support.two_keys import one_ciphertext

PAYLOAD = b"weights of the head, and its optimizer's state"
ROSTER = roster_of(ALICE, BOB, CAROL)
CLASSICAL = roster_of(BOB, CAROL)
CHUNK = 64
NOT_TRAINED = [b"[0]", b"[0,0,0]", b"[-1,0]", b"[true,0]", b'["0",0]', b"{}", b"0", b"9007199254740992"]


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 64 bytes, so that a body of many is small."""
    monkeypatch.setattr(chunks, "CHUNK_BYTES", CHUNK)
    monkeypatch.setattr(chunks, "_SEALED_CHUNK_BYTES", CHUNK + chunks.TAG_BYTES)


def sealed(roster=ROSTER, sender=ALICE, payload=PAYLOAD, **changes):
    return seal(sender, roster, header(roster, sender, **changes), payload)


@pytest.mark.parametrize("reader", [ALICE, BOB, CAROL], ids=lambda reader: reader.name)
def test_every_member_opens_what_was_sealed(reader):
    link, blob = sealed()
    received = Link.read(link.to_bytes())
    assert received == link and received.digest == link.digest
    assert open_envelope(reader, ROSTER, received, blob) == PAYLOAD


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 7])
def test_every_length_survives(size, small_chunks):
    payload = secrets.token_bytes(size)
    link, blob = sealed(CLASSICAL, BOB, payload)
    assert open_envelope(CAROL, CLASSICAL, link, memoryview(blob)) == payload


def test_chunks_of_their_real_size_survive():
    payload = memoryview(secrets.token_bytes(2 * chunks.CHUNK_BYTES + 5))
    link, blob = sealed(payload=payload)
    assert open_envelope(BOB, ROSTER, link, blob) == payload


def test_who_is_no_member_does_not_open_it():
    link, blob = sealed()
    for other in (STRANGER, OWNER):
        with pytest.raises(NotAMember, match="never added"):
            open_envelope(other, ROSTER, link, blob)
    # Nor with a roster of their own, which is what the server could make.
    mine = replace(ROSTER, members=(*ROSTER.members, STRANGER.member))
    with pytest.raises(RosterRefused):
        open_envelope(STRANGER, mine, link, blob)


def test_no_wrap_opens_with_the_key_of_somebody_else():
    _, blob = sealed()
    made = header(ROSTER, ALICE)
    starts = [6 + sum(m.wrapping.wrap_bytes for m in ROSTER.members[:at]) for at in range(4)]
    for position, reader in enumerate((ALICE, BOB, CAROL)):
        for other in (ALICE, BOB, CAROL, STRANGER):
            wrap = blob[starts[position] : starts[position + 1]]
            if other is reader:
                assert len(other.unwrap(wrap, made.encoded)) == 32
            else:
                with pytest.raises(WrongRecipients):
                    other.unwrap(wrap, made.encoded)


def test_a_removed_member_opens_nothing_sealed_after_its_removal():
    before, after = read_rosters(amend(roster_file(ALICE, BOB, CAROL), remove=["carol"], signers=[OWNER]))
    link, blob = sealed(after)
    assert open_envelope(BOB, after, link, blob) == PAYLOAD
    with pytest.raises(NotAMember, match="was removed"):
        open_envelope(CAROL, after, link, blob)
    with pytest.raises(RosterRefused):
        open_envelope(CAROL, before, link, blob)
    with pytest.raises(NotAMember):
        sealed(after, CAROL)


def test_the_payload_is_nowhere_in_what_is_sent():
    link, blob = sealed()
    assert PAYLOAD[:12] not in blob and PAYLOAD[:12] not in link.to_bytes()


def test_two_seals_of_one_state_have_nothing_in_common():
    blobs = [sealed()[1] for _ in range(2)]
    windows = [{blob[at : at + 8] for at in range(6, len(blob) - 8)} for blob in blobs]
    assert not windows[0] & windows[1]


def test_no_flipped_byte_of_a_link_is_accepted():
    link, blob = sealed(CLASSICAL, BOB)
    data = link.to_bytes()
    for at in range(len(data)):
        for bit in (0x01, 0x20, 0x80):
            flipped = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            with pytest.raises(EnvelopeRefused):
                open_envelope(CAROL, CLASSICAL, Link.read(flipped), blob)


def test_no_flipped_byte_of_a_blob_is_accepted():
    link, blob = sealed(CLASSICAL, BOB)
    for at in range(len(blob)):
        flipped = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        with pytest.raises(DamagedEnvelope, match="changed"):
            open_envelope(CAROL, CLASSICAL, link, flipped)


def test_a_flipped_byte_is_refused_even_where_the_sender_signed_it():
    link, blob = sealed(CLASSICAL, BOB)
    wrap_of_bob = range(6, 6 + 80)
    for at in range(len(blob)):
        flipped = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        reader = BOB if at in wrap_of_bob else CAROL
        with pytest.raises((DamagedEnvelope, WrongRecipients)):
            open_envelope(reader, CLASSICAL, signed_again(BOB, link, flipped), flipped)


@pytest.mark.parametrize("change", [-1, -40, 1, 40])
def test_a_blob_of_another_length_is_refused(change):
    link, blob = sealed()
    other = blob[:change] if change < 0 else blob + bytes(change)
    with pytest.raises(DamagedEnvelope, match="cut off or extended"):
        open_envelope(BOB, ROSTER, link, other)


def body_of(blob):
    start = 6 + sum(member.wrapping.wrap_bytes for member in CLASSICAL.members) + chunks.COMMITMENT_BYTES
    step = CHUNK + chunks.TAG_BYTES
    return blob[:start], [blob[at : at + step] for at in range(start, len(blob), step)]


@pytest.mark.parametrize("size", [3 * CHUNK, 3 * CHUNK + 5])
def test_chunks_in_another_order_or_number_are_refused(size, small_chunks):
    link, blob = sealed(CLASSICAL, BOB, secrets.token_bytes(size))
    head, pieces = body_of(blob)
    others = [order for order in permutations(pieces) if list(order) != pieces]
    others += [pieces[:count] for count in range(len(pieces))]
    others += [[*pieces, piece] for piece in pieces]
    others += [[*pieces, bytes(16)], [*pieces[:-1], pieces[-1][:-1]], [*pieces[:-1], pieces[-1][:16]]]
    others += [[*pieces[:at], *pieces[at + 1 :]] for at in range(len(pieces))]
    for other in others:
        changed = head + b"".join(other)
        with pytest.raises(DamagedEnvelope):
            open_envelope(CAROL, CLASSICAL, signed_again(BOB, link, changed), changed)


def test_chunks_of_another_envelope_are_refused(small_chunks):
    (link, blob), (_, other) = (sealed(CLASSICAL, BOB, secrets.token_bytes(3 * CHUNK)) for _ in range(2))
    head, pieces = body_of(blob)
    mixed = head + b"".join([pieces[0], *body_of(other)[1][1:]])
    with pytest.raises(DamagedEnvelope):
        open_envelope(CAROL, CLASSICAL, signed_again(BOB, link, mixed), mixed)


def test_a_body_that_opens_under_two_keys_is_refused():
    keys = [secrets.token_bytes(32) for _ in range(2)]
    context, nonce, block = b"context", chunks._nonce(0, True), bytes(16)
    # The AES keys themselves, which `_keys` keeps to itself.
    derived = [_aes_key(key, context) for key in keys]
    chunk = one_ciphertext(*derived, nonce, block)
    opened = [AESGCM(key).decrypt(nonce, chunk, None) for key in derived]
    assert opened[0] != opened[1]  # So AES-GCM by itself accepts both.
    for mine, other in (keys, keys[::-1]):
        body = memoryview(chunks._keys(mine, context)[1] + chunk)
        chunks.decrypt(mine, context, body)
        with pytest.raises(InvalidTag):
            chunks.decrypt(other, context, body)


def _aes_key(key, context):
    info = chunks._LABEL + hashlib.sha256(context).digest()
    return HKDF(SHA512(), 64, salt=None, info=info).derive(key)[:32]


def test_members_cannot_be_given_different_keys(monkeypatch):
    """A sender that wraps another key for one member is found out by that member."""
    given = iter([b"a" * 32, b"b" * 32])
    wrapping = type(BOB.member.wrapping)
    real = wrapping.wrap
    monkeypatch.setattr(wrapping, "wrap", lambda self, key, *rest: real(self, next(given), *rest))
    monkeypatch.setattr(envelope_module.secrets, "token_bytes", lambda count: b"a" * count)
    link, blob = sealed(CLASSICAL, BOB)
    assert open_envelope(BOB, CLASSICAL, link, blob) == PAYLOAD
    with pytest.raises(DamagedEnvelope, match="sealed wrongly"):
        open_envelope(CAROL, CLASSICAL, link, blob)


def test_swapped_wraps_are_refused():
    link, blob = sealed(CLASSICAL, BOB)
    swapped = blob[:6] + blob[86:166] + blob[6:86] + blob[166:]
    for reader in (BOB, CAROL):
        with pytest.raises(WrongRecipients):
            open_envelope(reader, CLASSICAL, signed_again(BOB, link, swapped), swapped)


def test_an_added_or_missing_recipient_is_refused():
    link, blob = sealed(CLASSICAL, BOB)
    wrap = STRANGER.member.wrapping.wrap(b"k" * 32, STRANGER.member.wrapping_key, link.header.encoded)
    added = b"KSE1" + (3).to_bytes(2, "big") + blob[6:166] + wrap + blob[166:]
    missing = b"KSE1" + (1).to_bytes(2, "big") + blob[6:86] + blob[166:]
    for changed, count in ((added, 3), (missing, 1)):
        with pytest.raises(DamagedEnvelope):
            open_envelope(BOB, CLASSICAL, link, changed)
        with pytest.raises(WrongRecipients, match=f"recipients={count}"):
            open_envelope(BOB, CLASSICAL, signed_again(BOB, link, changed), changed)


def test_a_recipient_in_another_ones_place_is_refused():
    link, blob = sealed(CLASSICAL, BOB)
    wrap = STRANGER.member.wrapping.wrap(b"k" * 32, STRANGER.member.wrapping_key, link.header.encoded)
    changed = blob[:86] + wrap + blob[166:]
    with pytest.raises(WrongRecipients, match="seal it again"):
        open_envelope(CAROL, CLASSICAL, signed_again(BOB, link, changed), changed)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 1, "previous": "4" * 64},
        {"turn": 2},
        {"kind": "secret"},
        {"base": "5" * 64},
        {"result": "5" * 64},
        {"topology": "5" * 64},
        {"settings": "5" * 64},
        {"version": 8},
        {"trained": Trained(0, 1)},
        {"sender": "carol"},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_a_blob_opens_under_no_other_header(changes):
    link, blob = sealed(CLASSICAL, BOB)
    sender = CAROL if "sender" in changes else BOB
    # The sender itself signs the other header: wraps and body must refuse by themselves.
    moved = signed_again(sender, link, blob, **changes)
    with pytest.raises(WrongRecipients):
        open_envelope(CAROL, CLASSICAL, moved, blob)
    with pytest.raises(InvalidTag):
        chunks.decrypt(
            CAROL.unwrap(blob[86:166], link.header.encoded), moved.header.encoded, memoryview(blob)[166:]
        )


def test_another_runs_envelope_is_refused():
    link, blob = sealed()
    with pytest.raises(ForeignEnvelope, match=OTHER_RUN):
        open_envelope(BOB, roster_of(ALICE, BOB, CAROL, run=OTHER_RUN), link, blob)


def test_another_epochs_envelope_is_refused():
    first, second = read_rosters(amend(roster_file(ALICE, BOB), add=[CAROL.member], signers=[OWNER]))
    link, blob = sealed(first)
    with pytest.raises(RosterRefused, match="roster_epoch=1"):
        open_envelope(BOB, second, link, blob)
    relabelled = Link.signed(ALICE, replace(link.header, roster_epoch=2), link.blob, link.size)
    with pytest.raises(RosterRefused):
        open_envelope(BOB, second, relabelled, blob)


def test_a_stripped_or_foreign_signature_is_refused():
    link, blob = sealed()
    data = link.to_bytes()
    for stripped in (data[:-128], data[:-129], data[:-1], data[:-2], data + b"00", data[:-128].strip()):
        with pytest.raises(SignatureRefused, match="no signature"):
            Link.read(stripped)
    for other in (
        replace(link, signature=bytes(64)),
        replace(link, signature=b""),
        Link.signed(STRANGER, link.header, link.blob, link.size),
        Link.signed(BOB, link.header, link.blob, link.size),
    ):
        with pytest.raises(SignatureRefused, match="not of that member's key"):
            open_envelope(CAROL, ROSTER, other, blob)


def test_a_signature_for_one_purpose_holds_for_no_other():
    link, blob = sealed()
    body = link.to_bytes().partition(b"\n")[0]
    with pytest.raises(SignatureRefused):
        open_envelope(BOB, ROSTER, replace(link, signature=ALICE.sign(body)), blob)
    with pytest.raises(SignatureRefused):
        forged = replace(link, signature=ALICE.sign(b"keras_split roster 1\0" + body))
        open_envelope(BOB, ROSTER, forged, blob)


def test_the_first_thing_wrong_in_the_order_of_checks_is_what_is_reported():
    """Each fault is added to those that are checked after it."""
    link, blob = sealed(CLASSICAL, BOB)
    broken = b"KSE1" + (9).to_bytes(2, "big") + bytes(len(blob) - 6)
    faults = [(WrongRecipients, signed_again(BOB, link, broken), CLASSICAL, broken)]
    faults += [(DamagedEnvelope, link, CLASSICAL, broken)]
    unsigned = replace(link, signature=bytes(64))
    faults += [(SignatureRefused, unsigned, CLASSICAL, broken)]
    faults += [(RosterRefused, unsigned, ROSTER, broken)]
    other_run = roster_of(ALICE, run=OTHER_RUN)
    faults += [(ForeignEnvelope, unsigned, other_run, broken)]
    faults += [(DamagedEnvelope, unsigned, other_run, broken + b"0")]
    for kind, shown, roster, bytes_ in faults:
        with pytest.raises(EnvelopeRefused) as caught:
            open_envelope(CAROL, roster, shown, bytes_)
        assert type(caught.value) is kind


def test_a_header_that_is_not_ours_is_not_sealed():
    with pytest.raises(NotAMember, match="cannot be sealed with the key of 'alice'"):
        seal(ALICE, ROSTER, header(ROSTER, BOB), PAYLOAD)
    with pytest.raises(NotAMember):
        seal(STRANGER, ROSTER, header(ROSTER, STRANGER), PAYLOAD)
    with pytest.raises(RosterRefused):
        seal(ALICE, ROSTER, header(ROSTER, ALICE, roster_digest="0" * 64), PAYLOAD)
    with pytest.raises(ForeignEnvelope):
        seal(ALICE, ROSTER, header(ROSTER, ALICE, run=OTHER_RUN), PAYLOAD)


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "a/b"},
        {"sender": ""},
        {"number": -1},
        {"number": True},
        {"number": 2**53},
        {"turn": 1.0},
        {"version": "1"},
        {"roster_epoch": 0},
        {"kind": "other"},
        {"kind": "delta"},
        {"number": 1},
        {"previous": "4" * 64},
        {"kind": "secret", "number": 1, "previous": "4" * 64},
        {"result": ""},
        {"result": "A" * 64},
        {"topology": "1" * 63},
        {"settings": None},
        {"base": "x"},
    ],
    ids=str,
)
def test_a_header_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ValueError):
        replace(header(ROSTER, ALICE), **changes)


def test_a_link_in_another_form_is_refused():
    data = sealed()[0].to_bytes()
    for other in (
        data.replace(b'":', b'": ', 1),
        data.replace(b"{", b'{"size":1,', 1),
        data.replace(b'"run"', b'"r\\u0075n"'),
        data.replace(b'"version":7', b'"version":7.0'),
        data.replace(b'"version":7', b'"version":07'),
        data.replace(b'"version":7', b'"more":1,"version":7'),
        *(data.replace(b'"trained":[0,0]', b'"trained":' + each) for each in NOT_TRAINED),
        b" " + data,
        b"[" * 3000 + b"\n" + data[-128:],
    ):
        with pytest.raises(DamagedEnvelope, match="cannot be read"):
            Link.read(other)


def test_a_huge_link_is_refused_unread():
    with pytest.raises(DamagedEnvelope, match="at most 4,096 bytes"):
        Link.read(b"[" * 50_000_000)


def test_the_longest_header_fits_into_a_link():
    longest = "n" * 64
    made = replace(
        header(ROSTER, ALICE),
        **{"run": "f" * 64, "sender": longest, "base": "5" * 64, "previous": "5" * 64},
        **dict.fromkeys(("number", "turn", "version", "roster_epoch"), 2**53 - 1),
        trained=Trained(2**53 - 1, 2**53 - 1),
    )
    link = Link.signed(ALICE, made, "0" * 64, 2**53 - 1)
    assert Link.read(link.to_bytes()) == link


def test_no_claim_of_a_size_takes_memory():
    link, blob = sealed(CLASSICAL, BOB)
    claims = Link.signed(BOB, link.header, link.blob, 3 << 30)
    huge = Link.signed(BOB, link.header, link.blob, 1 << 52)
    tracemalloc.start()
    for each, data in ((claims, blob), (huge, blob), (link, blob[:100])):
        with pytest.raises(DamagedEnvelope):
            open_envelope(CAROL, CLASSICAL, each, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_blob_above_the_receivers_limit_is_refused():
    link, blob = sealed()
    with pytest.raises(DamagedEnvelope, match="Raise the limit"):
        open_envelope(BOB, ROSTER, link, blob, max_bytes=len(blob) - 1)


def test_ten_members_cost_less_than_half_a_percent_of_ten_megabytes():
    members = [Identity.generate(f"member-{at}") for at in range(10)]
    payload = bytes(10_000_000)
    link, blob = sealed(roster_of(*members), members[0], payload)
    assert (len(link.to_bytes()) + len(blob) - len(payload)) / len(payload) < 0.005


def test_no_refusal_shows_a_key_or_the_payload():
    link, blob = sealed(CLASSICAL, BOB)
    secret = CAROL.unwrap(blob[86:166], link.header.encoded)
    shown = [repr(link), repr(CLASSICAL)]
    for at in (0, 5, 100, 170, 200, len(blob) - 1):
        changed = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        with pytest.raises(EnvelopeRefused) as caught:
            open_envelope(BOB if at == 5 else CAROL, CLASSICAL, signed_again(BOB, link, changed), changed)
        shown.append(f"{caught.value!s} {caught.value!r}")
    for hidden in (secret.hex(), repr(secret)[2:-1], PAYLOAD.decode(), CAROL._secret.hex()[:32]):
        assert not [text for text in shown if hidden in text]
