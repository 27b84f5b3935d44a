"""A member accepts one history, which only grows."""

from __future__ import annotations

import stat
from dataclasses import replace
from itertools import pairwise

import pytest

from keras_split.crypto import Link, Pin, Pinned, Trained, amend, read_rosters, seal, verify_chain
from keras_split.crypto import pinned as pinned_module
from keras_split.errors import (
    DamagedEnvelope,
    EnvelopeRefused,
    ForeignEnvelope,
    ForkDetected,
    MissingLinks,
    NotAMember,
    ReplayDetected,
    RollbackDetected,
    RosterRefused,
    SignatureRefused,
)
from support.sealed import (
    ALICE,
    BOB,
    CAROL,
    OTHER_RUN,
    OWNER,
    RUN,
    SETTINGS,
    STRANGER,
    TOPOLOGY,
    header,
    history,
    roster_file,
    roster_of,
)

ROSTER = roster_of(ALICE, BOB, CAROL)
LINKS = history(ROSTER, ALICE, BOB, CAROL, ALICE, BOB)
BYTES = [link.to_bytes() for link in LINKS]
PINS = [Pin.of(link) for link in LINKS]


def verify(links, pin=None, rosters=(ROSTER,), run=RUN, topology=TOPOLOGY, settings=SETTINGS):
    return verify_chain(links, pin, rosters, run, topology, settings)


def refused(links, pin=None, **changes) -> type[EnvelopeRefused]:
    with pytest.raises(EnvelopeRefused) as caught:
        verify(links, pin, **changes)
    return type(caught.value)


def follow(after: Link, sender=BOB, roster=ROSTER, **changes) -> Link:
    return seal(sender, roster, header(roster, sender, after, **changes), b"other")[0]


def test_a_new_member_takes_the_whole_history():
    assert verify(BYTES) == LINKS
    assert verify(LINKS) == LINKS
    assert verify([]) == []


@pytest.mark.parametrize("at", range(len(LINKS)))
@pytest.mark.parametrize("first", range(len(LINKS)))
def test_only_what_is_after_the_pin_is_new(at, first):
    if first <= at + 1:
        assert verify(BYTES[first:], PINS[at]) == LINKS[at + 1 :]
    else:
        assert refused(BYTES[first:], PINS[at]) is MissingLinks


def test_a_history_that_ends_before_the_pin_is_a_rollback():
    for end in range(1, len(LINKS) - 1):
        assert refused(BYTES[:end], PINS[-1]) is RollbackDetected


def test_a_link_that_comes_again_is_a_replay():
    assert refused([*BYTES, BYTES[2]]) is ReplayDetected
    assert refused([*BYTES, BYTES[-1]]) is ReplayDetected
    assert refused(BYTES[::-1]) is ReplayDetected


def test_an_old_state_under_a_new_number_is_no_links_successor():
    replayed = Link(replace(LINKS[2].header, number=5), LINKS[2].blob, LINKS[2].size, LINKS[2].signature)
    assert refused([*LINKS, replayed]) is SignatureRefused


def test_a_turn_that_goes_back_is_a_replay():
    late = follow(LINKS[-1], turn=LINKS[-1].header.turn - 1)
    assert refused([*LINKS, late]) is ReplayDetected
    assert refused([late], PINS[-1]) is ReplayDetected
    assert verify([follow(LINKS[-1], turn=LINKS[-1].header.turn)], PINS[-1])


def test_a_gap_is_not_passed_over():
    assert refused([*BYTES[:2], *BYTES[3:]]) is MissingLinks
    assert refused(BYTES[1:]) is MissingLinks


def test_two_histories_are_a_fork():
    other = follow(LINKS[1])
    assert refused([*LINKS[:2], other, *LINKS[3:]]) is ForkDetected
    assert refused([other], PINS[2]) is ForkDetected
    assert refused([follow(other)], PINS[2]) is ForkDetected
    assert refused([*LINKS[:2], other, follow(other)], PINS[2]) is ForkDetected


def test_a_second_beginning_is_a_fork():
    again = history(ROSTER, BOB, BOB)
    assert refused(again, PINS[0]) is ForkDetected
    assert refused(again[1:], PINS[0]) is ForkDetected


def test_no_flipped_byte_of_a_history_is_accepted():
    two = history(roster_of(BOB, CAROL), BOB, CAROL)
    known = {"rosters": [roster_of(BOB, CAROL)]}
    # One roster made twice is one roster.
    assert verify(two, **known) == two
    data = [link.to_bytes() for link in two]
    for at in range(len(data[0])):
        flipped = data[0][:at] + bytes([data[0][at] ^ 1]) + data[0][at + 1 :]
        with pytest.raises(EnvelopeRefused):
            verify([flipped, data[1]], **known)


def test_a_stripped_signature_is_refused():
    stripped = [data.partition(b"\n")[0] for data in BYTES]
    assert refused(stripped) is SignatureRefused
    assert refused([replace(LINKS[0], signature=b"")]) is SignatureRefused


def test_a_link_in_another_members_name_is_refused():
    forged = Link.signed(CAROL, header(ROSTER, BOB, LINKS[-1]), "0" * 64, 1)
    assert refused([*LINKS, forged]) is SignatureRefused


def test_who_is_no_member_extends_no_history():
    made = header(ROSTER, STRANGER, LINKS[-1])
    assert refused([*LINKS, Link.signed(STRANGER, made, "0" * 64, 1)]) is NotAMember


def epochs():
    return read_rosters(amend(roster_file(ALICE, BOB, CAROL), remove=["carol"], signers=[OWNER]))


def test_a_history_goes_over_epochs():
    first, second = epochs()
    links = history(first, ALICE, CAROL)
    links.append(follow(links[-1], BOB, second))
    assert verify(links, rosters=[first, second]) == links


def test_a_removed_member_extends_no_history_of_the_new_epoch():
    first, second = epochs()
    links = history(first, ALICE, BOB)
    links.append(follow(links[-1], BOB, second))
    in_new_epoch = Link.signed(CAROL, header(second, CAROL, links[-1]), "0" * 64, 1)
    assert refused([*links, in_new_epoch], rosters=[first, second]) is NotAMember
    in_old_epoch = follow(links[-1], CAROL, first)
    assert refused([*links, in_old_epoch], rosters=[first, second]) is RosterRefused
    assert refused([in_old_epoch], Pin.of(links[-1]), rosters=[first, second]) is RosterRefused


def test_an_epoch_that_is_not_known_or_is_another_is_refused():
    first, second = epochs()
    links = history(second, ALICE)
    assert refused(links, rosters=[first]) is RosterRefused
    assert refused(links, rosters=[]) is RosterRefused
    forged = amend(roster_file(ALICE, BOB, CAROL), add=[STRANGER.member], signers=[OWNER])
    assert refused(links, rosters=[first, read_rosters(forged)[1]]) is RosterRefused


@pytest.mark.parametrize("changes", [{"topology": "9" * 64}, {"settings": "9" * 64}, {"run": OTHER_RUN}])
def test_a_history_of_another_run_topology_or_settings_is_refused(changes):
    assert refused(LINKS, **changes) is ForeignEnvelope


def test_one_foreign_link_in_a_history_is_refused():
    for changes in ({"topology": "9" * 64}, {"settings": "9" * 64}):
        assert refused([*LINKS, follow(LINKS[-1], **changes)]) is ForeignEnvelope
    other = roster_of(ALICE, BOB, CAROL, run=OTHER_RUN)
    assert refused([*LINKS, follow(LINKS[-1], roster=other)]) is ForeignEnvelope


def test_settings_that_were_not_validated_are_not_compared():
    assert verify(LINKS, settings=None) == LINKS


def test_every_refusal_says_what_to_do():
    other = follow(LINKS[1])
    cases = [
        (BYTES[:2], PINS[-1], "restored from its newest checkpoint"),
        ([*BYTES, BYTES[0]], None, "before its owner has explained it"),
        ([other], PINS[2], "compare the newest number and digest"),
        (BYTES[3:], PINS[0], "Ask the server for all links"),
        (BYTES[3:], None, "from number 0"),
        ([replace(LINKS[0], signature=b"")], None, "tell the other members"),
    ]
    for links, pin, advice in cases:
        with pytest.raises(EnvelopeRefused, match=advice):
            verify(links, pin)


def test_a_pin_is_what_was_written(tmp_path):
    pinned = Pinned(tmp_path / "pins", RUN)
    assert pinned.read() is None
    for pin in PINS:
        pinned.advance(pin)
        assert Pinned(tmp_path / "pins", RUN).read() == pin
    assert Pinned(tmp_path / "pins", OTHER_RUN).read() is None


def test_a_member_that_is_done_begins_its_data_anew_and_forgets_nothing_else(tmp_path):
    pinned = Pinned(tmp_path, RUN)
    pinned.begin_anew()
    assert pinned.read() is None
    pin = replace(PINS[3], trained=Trained(5, 0))
    pinned.advance(pin)
    pinned.begin_anew()
    assert pinned.read() == PINS[3]


def test_a_pin_never_goes_back(tmp_path):
    pinned = Pinned(tmp_path, RUN)
    pinned.advance(PINS[3])
    pinned.advance(PINS[3])
    with pytest.raises(RollbackDetected, match="newest pin"):
        pinned.advance(PINS[2])
    with pytest.raises(ForkDetected, match="two histories"):
        pinned.advance(replace(PINS[3], digest="0" * 64))
    assert pinned.read() == PINS[3]


def test_two_programs_of_one_member_share_the_pin(tmp_path):
    one, other = Pinned(tmp_path, RUN), Pinned(tmp_path, RUN)
    one.advance(PINS[2])
    with pytest.raises(RollbackDetected):
        other.advance(PINS[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b" ",
        lambda content: content.replace(b'"turn"', b'"turm"'),
        lambda content: content.replace(b'"number":2', b'"number":-2'),
        lambda content: content.replace(b'"trained":[0,0]', b'"trained":[0,-1]'),
        lambda content: b"[" * 2000,
    ],
)
def test_a_damaged_pin_is_not_a_new_start(tmp_path, change):
    pinned = Pinned(tmp_path, RUN)
    pinned.advance(PINS[2])
    path = tmp_path / f"{RUN}.pin"
    path.write_bytes(change(path.read_bytes()))
    for use in (pinned.read, lambda: pinned.advance(PINS[3])):
        with pytest.raises(DamagedEnvelope, match="backup"):
            use()


def test_a_write_that_fails_leaves_the_pin_as_it_was(tmp_path, monkeypatch):
    pinned = Pinned(tmp_path, RUN)
    pinned.advance(PINS[0])

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pinned_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        pinned.advance(PINS[1])
    assert pinned.read() == PINS[0]
    assert {path.name for path in tmp_path.iterdir()} == {f"{RUN}.pin", f"{RUN}.lock"}


def test_a_pin_is_on_disk_before_it_takes_its_place_and_then_so_is_its_place(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(pinned_module.os, name)
        monkeypatch.setattr(
            pinned_module.os, name, lambda *a, real=real, name=name: (calls.append(name), real(*a))[1]
        )
    Pinned(tmp_path, RUN).advance(PINS[0])
    assert calls == ["fsync", "replace", "fsync"]


def test_pins_are_their_owners_alone(tmp_path):
    Pinned(tmp_path / "pins", RUN).advance(PINS[0])
    assert stat.S_IMODE((tmp_path / "pins").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "pins" / f"{RUN}.pin").stat().st_mode) == 0o600


def test_a_name_of_a_run_is_no_path(tmp_path):
    with pytest.raises(ValueError):
        Pinned(tmp_path, "../other")


def test_numbers_and_digests_make_a_chain():
    assert [link.header.number for link in LINKS] == list(range(len(LINKS)))
    assert all(link.header.previous == before.digest for before, link in pairwise(LINKS))
