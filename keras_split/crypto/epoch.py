"""Who belongs to a run: members who share client state, and owners who decide who they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from keras_split.crypto import canonical
from keras_split.crypto.member import Member
from keras_split.errors import NotAMember
from keras_split.run_names import check_run

MAX_PAYLOAD_BYTES = 1 << 20
MAX_MEMBERS = 256
_FORMAT = "keras_split.roster/1"
_KEYS = frozenset(("epoch", "format", "members", "owners", "previous", "run", "threshold"))


@dataclass(frozen=True)
class Roster:
    """One epoch of a run's membership. Every change of members or keys is a new epoch.

    Args:
        run: Name of the run.
        epoch: 1, 2, 3, …
        members: Who opens envelopes; turns go round in this order.
        owners: Whose signatures make a roster; the same in every epoch.
        threshold: How many owners must sign an epoch after the first, which all of them sign.
        previous: Digest of the epoch before; empty for the first.

    Raises:
        ValueError: Something that no roster can hold, such as one key for two members.
    """

    run: str
    epoch: int
    members: tuple[Member, ...]
    owners: tuple[Member, ...]
    threshold: int
    previous: str = ""

    def __post_init__(self) -> None:
        check_run(self.run)
        canonical.check_count("epoch", self.epoch, least=1)
        canonical.check_digest("previous", self.previous, may_be_empty=self.epoch == 1)
        if self.epoch == 1 and self.previous:
            raise ValueError("The first epoch of a roster has no previous one.")
        _check_people("members", self.members)
        _check_people("owners", self.owners)
        canonical.check_count("threshold", self.threshold, least=1)
        if self.threshold > len(self.owners):
            raise ValueError(
                f"The threshold is the number of owners that must sign, from 1 to {len(self.owners)}. "
                f"Received: threshold={self.threshold}."
            )

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the payload that owners sign."""
        return canonical.sha256(self.payload)

    @cached_property
    def payload(self) -> bytes:
        """Canonical bytes of the whole roster."""
        return canonical.encode(
            {
                "epoch": self.epoch,
                "format": _FORMAT,
                "members": [member.to_fields() for member in self.members],
                "owners": [owner.to_fields() for owner in self.owners],
                "previous": self.previous,
                "run": self.run,
                "threshold": self.threshold,
            }
        )

    @property
    def needed_signatures(self) -> int:
        """All owners for the first epoch, since it is what sets the threshold."""
        return len(self.owners) if self.epoch == 1 else self.threshold

    def find(self, name: str) -> Member:
        """The member of this name.

        Raises:
            NotAMember: There is none.
        """
        for member in self.members:
            if member.name == name:
                return member
        raise NotAMember(
            f"{name!r} is not in epoch {self.epoch} of the roster of run {self.run!r}. If it should be, an "
            "owner adds it with `keras-split roster add`, and everybody takes the new roster file. "
            f"Members: {', '.join(member.name for member in self.members)}."
        )

    @classmethod
    def from_payload(cls, payload: bytes) -> Roster:
        """The inverse of `payload`.

        Raises:
            ValueError: It is not what `payload` gives, byte for byte.
        """
        found = canonical.fields(canonical.decode_canonical(payload, MAX_PAYLOAD_BYTES), _KEYS)
        if found["format"] != _FORMAT:
            raise ValueError(f"expected the format {_FORMAT}")
        people = {
            key: tuple(map(Member.from_fields, _list(found[key], key))) for key in ("members", "owners")
        }
        return cls(
            run=found["run"],
            epoch=found["epoch"],
            threshold=found["threshold"],
            previous=found["previous"],
            **people,
        )


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_MEMBERS:
        raise ValueError(f"`{name}` must be a list of at most {MAX_MEMBERS}")
    return value


def _check_people(what: str, people: Sequence[Member]) -> None:
    if not 1 <= len(people) <= MAX_MEMBERS:
        raise ValueError(f"A roster has 1 to {MAX_MEMBERS} {what}. Received: {len(people)}.")
    for key in ("name", "signing_key", "wrapping_key"):
        if len({getattr(person, key) for person in people}) < len(people):
            raise ValueError(f"Two of the {what} have the same {key.replace('_', ' ')}; each needs its own.")
