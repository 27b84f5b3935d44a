"""The signed file of rosters: every epoch of a run, each with the signatures that make it valid.

All epochs stand in one file, since a member that was away needs each of them: to check links that were
signed under it, and to see that the next one follows from it. The file is JSON; a signature is over
the payload's own bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keras_split.crypto import canonical
from keras_split.crypto.epoch import Roster
from keras_split.crypto.identity import Identity
from keras_split.crypto.member import Member
from keras_split.errors import RosterRefused

MAX_FILE_BYTES = 16 << 20
_FORMAT = "keras_split.rosters/1"
_FILE_KEYS = frozenset(("epochs", "format"))
_EPOCH_KEYS = frozenset(("payload", "rotations", "signatures"))
_ROSTER_LABEL = b"keras_split roster 1\0"
_ROTATION_LABEL = b"keras_split rotation 1\0"


@dataclass(frozen=True)
class SignedRoster:
    """A roster with what was signed about it; nothing of it is checked yet.

    Args:
        roster: The epoch.
        signatures: Of owners, by name.
        rotations: Of members with new keys, by name, made by their old keys.
    """

    roster: Roster
    signatures: Mapping[str, bytes] = field(default_factory=dict)
    rotations: Mapping[str, bytes] = field(default_factory=dict)

    def signed_by(self, owner: Identity) -> SignedRoster:
        """The same with one signature more.

        Raises:
            RosterRefused: This is not an owner's key.
        """
        if owner.member not in self.roster.owners:
            raise RosterRefused(
                f"{owner.name!r} is not an owner of the roster of run {self.roster.run!r}. Sign with the key "
                f"of one of: {', '.join(each.name for each in self.roster.owners)}."
            )
        signature = owner.sign(_ROSTER_LABEL + self.roster.payload)
        return replace(self, signatures={**self.signatures, owner.name: signature})

    @property
    def signers(self) -> list[str]:
        """Owners whose signatures hold."""
        message = _ROSTER_LABEL + self.roster.payload
        owners = {owner.name: owner for owner in self.roster.owners}
        return [
            name
            for name, signature in self.signatures.items()
            if name in owners and owners[name].verify(signature, message)
        ]

    def agrees_to(self, old: Member, new: Member) -> bool:
        """Whether the old keys signed that the new ones replace them, here and now."""
        return old.verify(self.rotations.get(new.name, b""), _rotation(self.roster, new))


def rotation_signature(old: Identity, roster: Roster) -> bytes:
    """What `agrees_to` looks for; `roster` is the epoch that holds the new keys."""
    return old.sign(_rotation(roster, roster.find(old.name)))


def write_file(epochs: list[SignedRoster]) -> str:
    """The text of a roster file."""
    content = {"epochs": [_epoch_fields(epoch) for epoch in epochs], "format": _FORMAT}
    return canonical.encode(content).decode() + "\n"


def read_file(text: str | bytes) -> list[SignedRoster]:
    """Reads a roster file without believing it.

    Raises:
        RosterRefused: It is none.
    """
    try:
        found = canonical.fields(canonical.decode(text, MAX_FILE_BYTES), _FILE_KEYS)
        if found["format"] != _FORMAT or not isinstance(found["epochs"], list) or not found["epochs"]:
            raise ValueError(f"expected epochs of the format {_FORMAT}")
        return [_epoch(value) for value in found["epochs"]]
    except ValueError as error:
        reason = str(error).rstrip(".")
        raise RosterRefused(
            f"This is no roster file of `keras-split roster`: {reason}. Get it from an owner again."
        ) from None


def _rotation(roster: Roster, new: Member) -> bytes:
    # The previous roster's digest binds the run and the old keys, the epoch that it happens once.
    place = {"epoch": roster.epoch, "member": new.to_fields(), "previous": roster.previous}
    return _ROTATION_LABEL + canonical.encode(place)


def _epoch_fields(epoch: SignedRoster) -> dict[str, Any]:
    return {
        "payload": epoch.roster.payload.decode(),
        "rotations": {name: signature.hex() for name, signature in epoch.rotations.items()},
        "signatures": {name: signature.hex() for name, signature in epoch.signatures.items()},
    }


def _epoch(value: Any) -> SignedRoster:
    found = canonical.fields(value, _EPOCH_KEYS)
    if not isinstance(found["payload"], str):
        raise ValueError("`payload` must be a text")
    # A character that ASCII lacks is a ValueError of its own, and would be quoted.
    payload = found["payload"].encode("ascii", "replace")
    return SignedRoster(
        Roster.from_payload(payload), _signatures(found["signatures"]), _signatures(found["rotations"])
    )


def _signatures(value: Any) -> dict[str, bytes]:
    if not isinstance(value, dict):
        raise ValueError("signatures must be an object")
    return {name: canonical.from_hex(text, "a signature") for name, text in value.items()}
