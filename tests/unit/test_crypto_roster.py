"""Rosters: only owners make them, only in order, and only old keys hand over to new ones."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from keras_split.crypto import (
    Identity,
    Roster,
    amend,
    create_roster,
    read_roster,
    read_rosters,
    sign_roster,
)
from keras_split.errors import NotAMember, RosterRefused
from support.sealed import ALICE, BOB, CAROL, OTHER_RUN, OWNER, RUN, STRANGER, roster_file, roster_of

SERVER = Identity.generate("server", post_quantum=False)
SECOND = Identity.generate("second", post_quantum=False)
THIRD = Identity.generate("third", post_quantum=False)
NEW_ALICE = Identity.generate("alice", post_quantum=False)


def changed(text: str, **changes: object) -> str:
    """The file with another payload in its newest epoch, and the signatures as they were."""
    content = json.loads(text)
    payload = {**json.loads(content["epochs"][-1]["payload"]), **changes}
    content["epochs"][-1]["payload"] = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return json.dumps(content)


@pytest.mark.parametrize("name", ["", "trial-7", "abcdef0", "ABCDEF12", "f" * 65])
def test_a_roster_names_its_run_as_every_way_of_handing_over_can(name):
    with pytest.raises(ValueError, match="8 to 64 hex digits"):
        roster_file(ALICE, run=name)


def test_a_roster_says_who_was_put_into_it():
    roster = read_roster(roster_file(ALICE, BOB))
    assert roster.members == (ALICE.member, BOB.member) and roster.owners == (OWNER.member,)
    assert (roster.run, roster.epoch, roster.threshold, roster.previous) == (RUN, 1, 1, "")
    assert roster.find("bob") == BOB.member
    with pytest.raises(NotAMember, match="keras-split roster add"):
        roster.find("carol")


def test_a_run_without_a_name_gets_one_of_its_own():
    texts = [create_roster([ALICE.member], [OWNER.member], signers=[OWNER]) for _ in range(2)]
    assert read_roster(texts[0]).run != read_roster(texts[1]).run


def test_every_field_is_part_of_the_digest():
    roster = roster_of(ALICE, BOB)
    others = [
        replace(roster, run=OTHER_RUN),
        replace(roster, epoch=2, previous=roster.digest),
        replace(roster, members=(BOB.member, ALICE.member)),
        replace(roster, owners=(OWNER.member, SECOND.member)),
        replace(roster, owners=(OWNER.member, SECOND.member), threshold=2),
    ]
    assert len({roster.digest, *(other.digest for other in others)}) == 6


def test_a_roster_that_the_server_made_is_refused_by_who_knows_owners_or_an_epoch():
    forged = create_roster([ALICE.member, SERVER.member], [SERVER.member], run=RUN, signers=[SERVER])
    read_roster(forged)  # To a reader who knows nobody it looks like any other.
    for known in (
        {"trusted_owners": [OWNER.member]},
        {"trusted_owners": [OWNER.member.fingerprint]},
        {"previous": roster_of(ALICE, BOB)},
    ):
        with pytest.raises(RosterRefused):
            read_roster(forged, **known)


def test_a_member_that_the_server_adds_voids_the_signature():
    text = roster_file(ALICE, BOB)
    people = [ALICE.member.to_fields(), BOB.member.to_fields(), SERVER.member.to_fields()]
    with pytest.raises(RosterRefused, match="needs the signatures of 1"):
        read_roster(changed(text, members=people))


def test_the_server_cannot_sign_nor_append_an_epoch():
    text = roster_file(ALICE)
    with pytest.raises(RosterRefused, match="not an owner"):
        sign_roster(text, SERVER)
    with pytest.raises(RosterRefused, match="not an owner"):
        amend(text, add=[SERVER.member], signers=[SERVER])
    with pytest.raises(RosterRefused, match="needs the signatures"):
        read_roster(amend(text, add=[SERVER.member]))


def test_an_owner_beside_the_trusted_ones_is_refused():
    text = create_roster([ALICE.member], [OWNER.member, SERVER.member], 1, signers=[OWNER, SERVER])
    with pytest.raises(RosterRefused, match="other owners"):
        read_roster(text, trusted_owners=[OWNER.member])


def test_all_owners_sign_the_first_epoch_and_the_threshold_the_later_ones():
    owners = [OWNER.member, SECOND.member, THIRD.member]
    text = create_roster([ALICE.member], owners, 2, signers=[OWNER, SECOND])
    with pytest.raises(RosterRefused, match="third"):
        read_roster(text)
    text = sign_roster(text, THIRD)
    assert read_roster(text, trusted_owners=owners).threshold == 2
    later = amend(text, add=[BOB.member], signers=[SECOND])
    with pytest.raises(RosterRefused, match="needs the signatures of 2"):
        read_roster(later)
    assert read_roster(sign_roster(later, THIRD)).epoch == 2


def test_one_owner_that_signs_twice_is_one():
    text = create_roster([ALICE.member], [OWNER.member, SECOND.member], 2, signers=[OWNER, OWNER])
    with pytest.raises(RosterRefused, match="signatures=1"):
        read_roster(text)


def test_one_owner_alone_cannot_lower_the_threshold():
    owners = [OWNER.member, SECOND.member]
    forged = create_roster([SERVER.member], owners, 1, signers=[OWNER])
    with pytest.raises(RosterRefused, match="second"):
        read_roster(forged, trusted_owners=owners)
    text = create_roster([ALICE.member], owners, 2, run=RUN, signers=[OWNER, SECOND])
    lowered = amend(text, add=[SERVER.member], signers=[OWNER, SECOND])
    with pytest.raises(RosterRefused, match="does not follow"):
        sign_roster(changed(lowered, threshold=1), OWNER)


def test_members_come_and_go_by_epochs():
    first = roster_file(ALICE, BOB)
    second = amend(first, add=[CAROL.member], remove=["bob"], signers=[OWNER])
    rosters = read_rosters(second)
    assert [roster.epoch for roster in rosters] == [1, 2]
    assert rosters[1].members == (ALICE.member, CAROL.member)
    assert rosters[1].previous == rosters[0].digest
    assert read_roster(second, previous=rosters[0]) == rosters[1]
    assert read_roster(second, previous=rosters[1]) == rosters[1]


def test_a_roster_older_than_a_known_one_is_refused():
    first = roster_file(ALICE, BOB)
    newer = read_roster(amend(first, remove=["bob"], signers=[OWNER]))
    with pytest.raises(RosterRefused, match="old file"):
        read_roster(first, previous=newer)


def test_two_epochs_of_one_number_are_refused_by_who_knows_one():
    first = roster_file(ALICE, BOB)
    one, other = (amend(first, remove=[name], signers=[OWNER]) for name in ("alice", "bob"))
    with pytest.raises(RosterRefused, match="why there are two"):
        read_roster(one, previous=read_roster(other))


def test_an_epoch_left_out_is_refused():
    text = amend(roster_file(ALICE), add=[BOB.member], signers=[OWNER])
    content = json.loads(amend(text, add=[CAROL.member], signers=[OWNER]))
    for kept in ([0, 2], [1, 2], [2], [1, 0, 2]):
        epochs = [content["epochs"][at] for at in kept]
        with pytest.raises(RosterRefused):
            read_roster(json.dumps({**content, "epochs": epochs}))


def test_new_keys_hold_only_with_the_old_keys_signature():
    text = roster_file(ALICE, BOB)
    rotated = amend(text, rotate=[(ALICE, NEW_ALICE.member)], signers=[OWNER])
    assert read_roster(rotated).find("alice") == NEW_ALICE.member
    with pytest.raises(RosterRefused, match="old key did not sign"):
        amend(text, rotate=[(NEW_ALICE, NEW_ALICE.member)], signers=[OWNER])
    with pytest.raises(RosterRefused, match="old key did not sign"):
        amend(text, remove=["alice"], add=[NEW_ALICE.member], signers=[OWNER])
    content = json.loads(rotated)
    content["epochs"][-1]["rotations"] = {}
    with pytest.raises(RosterRefused, match="old key did not sign"):
        read_roster(json.dumps(content))


def test_a_name_that_returns_is_still_the_old_keys():
    gone = amend(roster_file(ALICE, BOB), remove=["alice"], signers=[OWNER])
    with pytest.raises(RosterRefused, match="old key did not sign"):
        amend(gone, add=[NEW_ALICE.member], signers=[OWNER])
    assert read_roster(amend(gone, add=[ALICE.member], signers=[OWNER])).epoch == 3


def test_a_rotation_of_one_epoch_holds_in_no_other():
    text = roster_file(ALICE, BOB)
    old = json.loads(amend(text, rotate=[(ALICE, NEW_ALICE.member)], signers=[OWNER]))
    elsewhere = amend(text, add=[CAROL.member], signers=[OWNER])
    later = json.loads(amend(elsewhere, rotate=[(ALICE, NEW_ALICE.member)], signers=[OWNER]))
    later["epochs"][-1]["rotations"] = old["epochs"][-1]["rotations"]
    with pytest.raises(RosterRefused, match="old key did not sign"):
        read_roster(json.dumps(later))


def test_new_keys_need_the_owners_as_well():
    text = amend(roster_file(ALICE, BOB), rotate=[(ALICE, NEW_ALICE.member)])
    with pytest.raises(RosterRefused, match="needs the signatures"):
        read_roster(text)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({}, "Nothing changes"),
        ({"add": [BOB.member]}, "same name"),
        ({"remove": ["alice", "bob"]}, "1 to 256 members"),
        ({"rotate": [(ALICE, CAROL.member)]}, "--name alice"),
        ({"add": [replace(STRANGER.member, signing_key=ALICE.member.signing_key)]}, "same signing key"),
        ({"add": [replace(STRANGER.member, wrapping_key=BOB.member.wrapping_key)]}, "same wrapping key"),
    ],
)
def test_a_change_that_no_roster_can_hold_says_why(change, advice):
    with pytest.raises(ValueError, match=advice):
        amend(roster_file(ALICE, BOB), signers=[OWNER], **change)


def test_who_is_not_there_cannot_be_removed():
    with pytest.raises(NotAMember):
        amend(roster_file(ALICE), remove=["bob"], signers=[OWNER])


def test_an_epoch_that_lacks_signatures_is_not_built_upon():
    text = amend(roster_file(ALICE), add=[BOB.member])
    with pytest.raises(RosterRefused, match="needs the signatures"):
        amend(text, add=[CAROL.member], signers=[OWNER])


@pytest.mark.parametrize("threshold", [0, 2, -1, True])
def test_a_threshold_is_from_one_to_all(threshold):
    with pytest.raises(ValueError):
        Roster(RUN, 1, (ALICE.member,), (OWNER.member,), threshold)


def test_every_character_of_a_signed_payload_counts():
    text = roster_file(BOB)
    content = json.loads(text)
    payload = content["epochs"][0]["payload"]
    for at in range(len(payload)):
        other = payload[:at] + chr(ord(payload[at]) ^ 1) + payload[at + 1 :]
        content["epochs"][0]["payload"] = other
        with pytest.raises(RosterRefused):
            read_roster(json.dumps(content))


def test_a_payload_in_another_form_or_with_a_key_twice_is_refused():
    content = json.loads(roster_file(BOB))
    payload = content["epochs"][0]["payload"]
    for other in (payload + " ", payload.replace(":", ": ", 1), payload.replace("{", '{"epoch":1,', 1)):
        content["epochs"][0]["payload"] = other
        with pytest.raises(RosterRefused, match="no roster file"):
            read_roster(json.dumps(content))
