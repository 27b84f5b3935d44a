"""How a roster is made and changed, and when it is believed.

1. The first epoch is signed by all owners, since it is what sets how many of them sign later ones.
2. Each later epoch has the run, owners and threshold of the one before, names its digest, and is signed
   by as many owners as the threshold says.
3. Who keeps the name and gets new keys has signed them with the old ones.
4. A reader who knows owners or an epoch already accepts nothing that does not come from them.

The server owns no such key, so it can neither add a member nor bring a removed one back.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from keras_split.crypto.epoch import Roster
from keras_split.crypto.identity import Identity
from keras_split.crypto.member import Member
from keras_split.crypto.signed import SignedRoster, read_file, rotation_signature, write_file
from keras_split.errors import RosterRefused

__all__ = ["Roster", "amend", "create_roster", "read_roster", "read_rosters", "sign_roster"]


def create_roster(
    members: Sequence[Member],
    owners: Sequence[Member],
    threshold: int | None = None,
    run: str | None = None,
    signers: Iterable[Identity] = (),
) -> str:
    """The text of a new roster file.

    Args:
        members: Who shares client state, in the order of their turns.
        owners: Whose signatures make rosters.
        threshold: How many owners must sign a change. Default: all of them.
        run: Name of the run. Default: a random one.
        signers: Owners that sign now; the others do later, with `sign_roster`.

    Raises:
        ValueError: Something that no roster can hold.
    """
    needed = len(owners) if threshold is None else threshold
    name = secrets.token_hex(8) if run is None else run
    roster = Roster(name, 1, tuple(members), tuple(owners), needed)
    return write_file([_signed(SignedRoster(roster), signers)])


def amend(
    text: str | bytes,
    add: Sequence[Member] = (),
    remove: Sequence[str] = (),
    rotate: Sequence[tuple[Identity, Member]] = (),
    signers: Iterable[Identity] = (),
) -> str:
    """The text of a roster file with one epoch more.

    Args:
        text: The file so far, whose newest epoch has its signatures.
        add: New members; their turns come last.
        remove: Names of members that open nothing that is sealed from now on.
        rotate: Old keys, which sign, and the member of the same name with its new keys.
        signers: Owners that sign now; the others do later, with `sign_roster`.

    Raises:
        RosterRefused: The file is not valid, or lacks signatures.
        NotAMember: Someone to remove or rotate is not in the roster.
        ValueError: Nothing changes, or the new roster cannot be one.
    """
    before = read_file(text)
    old = read_rosters(text)[-1]
    for name in [*remove, *(identity.name for identity, _ in rotate)]:
        old.find(name)
    _check_same_names(rotate)
    replaced = {new.name: new for _, new in rotate}
    kept = [replaced.get(member.name, member) for member in old.members if member.name not in remove]
    members = (*kept, *add)
    if members == old.members:
        raise ValueError("Nothing changes: name a member to add, to remove or to give new keys.")
    roster = Roster(old.run, old.epoch + 1, members, old.owners, old.threshold, old.digest)
    rotations = {identity.name: rotation_signature(identity, roster) for identity, _ in rotate}
    newest = _signed(SignedRoster(roster, rotations=rotations), signers)
    _check_history(before, newest)
    return write_file([*before, newest])


def sign_roster(text: str | bytes, owner: Identity) -> str:
    """The text of a roster file with one signature more under its newest epoch.

    Raises:
        RosterRefused: It is no roster file, an epoch before is not valid, or this is no owner's key.
    """
    *before, newest = read_file(text)
    _check_history(before, newest)
    return write_file([*before, newest.signed_by(owner)])


def read_roster(
    text: str | bytes,
    trusted_owners: Iterable[Member | str] | None = None,
    previous: Roster | None = None,
) -> Roster:
    """The newest epoch of a roster file, when all of the file is valid.

    Args:
        text: Contents of the file, from anybody.
        trusted_owners: Owners, or their fingerprints, that the file must have, all of them and no
            others. Without it and without `previous` the way by which the file came is what is trusted.
        previous: An epoch that is known; the file must have it, and may go on from there.

    Raises:
        RosterRefused: It is no roster file; owners are others; a signature, an epoch or the old key's
            consent is missing; or it is older than `previous`.
    """
    return read_rosters(text, trusted_owners, previous)[-1]


def read_rosters(
    text: str | bytes,
    trusted_owners: Iterable[Member | str] | None = None,
    previous: Roster | None = None,
) -> list[Roster]:
    """Like `read_roster`, and gives every epoch, as `verify_chain` needs them."""
    *before, newest = read_file(text)
    _check_history(before, newest)
    _check_signatures(newest)
    rosters = [epoch.roster for epoch in (*before, newest)]
    if trusted_owners is not None:
        _check_owners(rosters[0], trusted_owners)
    if previous is not None:
        _check_follows(rosters, previous)
    return rosters


def _signed(epoch: SignedRoster, signers: Iterable[Identity]) -> SignedRoster:
    for owner in signers:
        epoch = epoch.signed_by(owner)
    return epoch


def _check_history(before: Sequence[SignedRoster], newest: SignedRoster) -> None:
    """Everything but the newest epoch's own signatures."""
    epochs = [*before, newest]
    if epochs[0].roster.epoch != 1:
        raise RosterRefused("The roster file does not begin with epoch 1. Get it from an owner again.")
    known: dict[str, Member] = {}
    for old, new in zip(before, epochs[1:], strict=True):
        _check_signatures(old)
        _check_step(old.roster, new.roster)
        known |= {member.name: member for member in old.roster.members}
        _check_rotations(known, new)


def _check_step(old: Roster, roster: Roster) -> None:
    kept = (old.run, old.epoch + 1, old.owners, old.threshold, old.digest)
    if (roster.run, roster.epoch, roster.owners, roster.threshold, roster.previous) != kept:
        raise RosterRefused(
            f"Epoch {roster.epoch} of the roster does not follow from epoch {old.epoch}: run, owners and "
            "threshold stay as they are, and each epoch names the digest of the one before. Get the file "
            "from an owner again; for other owners, start a new run."
        )


def _check_same_names(rotate: Sequence[tuple[Identity, Member]]) -> None:
    for old, new in rotate:
        if old.name != new.name:
            raise ValueError(
                f"New keys keep the member's name: make them with `keras-split keygen --name {old.name}`. "
                f"Received: name={new.name!r}."
            )


def _check_rotations(known: dict[str, Member], new: SignedRoster) -> None:
    """`known` has everybody who ever was a member: a name that returns is still the old key's."""
    for member in new.roster.members:
        before = known.get(member.name, member)
        if before != member and not new.agrees_to(before, member):
            raise RosterRefused(
                f"Epoch {new.roster.epoch} gives {member.name!r} new keys, and its old key did not sign "
                "them. The member makes this change itself, with `keras-split roster rotate`; if its old "
                "key is lost, owners remove it and add its new keys under another name."
            )


def _check_signatures(epoch: SignedRoster) -> None:
    roster, signers = epoch.roster, epoch.signers
    if len(signers) < roster.needed_signatures:
        waiting = [owner.name for owner in roster.owners if owner.name not in signers]
        raise RosterRefused(
            f"Epoch {roster.epoch} of the roster needs the signatures of {roster.needed_signatures} owners. "
            f"Another owner signs it with `keras-split roster sign`: {', '.join(waiting)}. "
            f"Received: valid signatures={len(signers)}."
        )


def _check_owners(first: Roster, trusted: Iterable[Member | str]) -> None:
    expected = {each.fingerprint if isinstance(each, Member) else each for each in trusted}
    if {owner.fingerprint for owner in first.owners} != expected:
        raise RosterRefused(
            "The roster has other owners than those you trust, so anybody may have made it. Get it from "
            f"your owners over a safe way. Received: owners={[owner.name for owner in first.owners]}."
        )


def _check_follows(rosters: Sequence[Roster], previous: Roster) -> None:
    newest = rosters[-1]
    if newest.run == previous.run and newest.epoch < previous.epoch:
        raise RosterRefused(
            f"The roster file ends with epoch {newest.epoch}, and epoch {previous.epoch} is known: it is an "
            "old file. Use the newer one."
        )
    if previous.digest not in {roster.digest for roster in rosters}:
        raise RosterRefused(
            f"The roster does not go on from epoch {previous.epoch} of run {previous.run!r}, which is known. "
            "If it is another run's, use another folder for it; otherwise ask your owners why there are two."
        )
