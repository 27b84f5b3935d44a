"""Who has not the keys of the newest roster hears of it at once, and not when its turn comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_split.crypto import Identity, amend, create_roster
from keras_split.errors import NotAMember
from keras_split.owners import Membership, Places

OLD, NEW, OTHER = (Identity.generate(name, post_quantum=False) for name in ("a", "a", "b"))
FIRST = create_roster([OLD.member, OTHER.member], [OTHER.member], signers=[OTHER])
ROTATED = amend(FIRST, rotate=[(OLD, NEW.member)], signers=[OTHER])
REMOVED = amend(FIRST, remove=["a"], signers=[OTHER])
ADVICE = "never added, was removed, or was replaced. Use your newest key file, or ask an owner"


def membership(identity: Identity, roster: str, folder: Path) -> Membership:
    return Membership(identity, roster, Places(folder=folder))


@pytest.mark.parametrize(("identity", "roster"), [(NEW, FIRST), (OLD, ROTATED), (OLD, REMOVED)])
def test_keys_that_are_not_in_the_newest_epoch_make_no_member(
    tmp_path: Path, identity: Identity, roster: str
) -> None:
    with pytest.raises(NotAMember, match=ADVICE):
        membership(identity, roster, tmp_path)


def test_new_keys_of_a_member_are_its_own(tmp_path: Path) -> None:
    assert membership(NEW, ROTATED, tmp_path).roster.epoch == 2


@pytest.mark.parametrize("roster", [ROTATED, REMOVED])
def test_keys_that_a_new_epoch_has_not_are_told_so_each_time(tmp_path: Path, roster: str) -> None:
    member = membership(OLD, FIRST, tmp_path)
    for _ in range(2):
        with pytest.raises(NotAMember, match=ADVICE):
            member.learn(roster)
