"""Client state, sealed so that the members of one roster open it and nobody else.

A blob is the file key, wrapped once for each member in the roster's order, and the body under that key:

```
"KSE1" (4) | number of wraps (2, big-endian) | wraps | body, see chunks.py
```

A receiver checks in this order, and uses nothing before the last byte is authenticated:

1. size, 2. header (`Link.read`), 3. run, roster epoch and digest, and that both are members of it,
4. signature, 5. the place in the run's history (`verify_chain`, before the blob is even fetched), 6. the
blob's digest and its recipients, 7. unwrap, 8. commitment and every chunk. The state's own digest
(`header.result`), shapes and finite values are checked by whoever can read the state.
"""

from __future__ import annotations

import secrets
from io import BytesIO

from cryptography.exceptions import InvalidTag

from keras_split.crypto import canonical, chunks
from keras_split.crypto.epoch import Roster
from keras_split.crypto.identity import Identity
from keras_split.crypto.link import Header, Link
from keras_split.crypto.wrapping import FILE_KEY_BYTES
from keras_split.errors import DamagedEnvelope, ForeignEnvelope, NotAMember, RosterRefused, WrongRecipients

__all__ = ["MAX_BLOB_BYTES", "Header", "Link", "check_own", "check_roster", "open_envelope", "seal"]

MAX_BLOB_BYTES = 4 << 30
_MAGIC = b"KSE1"
_COUNT_BYTES = 2
_HEAD_BYTES = len(_MAGIC) + _COUNT_BYTES


def seal(
    identity: Identity, roster: Roster, header: Header, payload: bytes | memoryview
) -> tuple[Link, bytes]:
    """Seals a payload to the members of a roster.

    Args:
        identity: The sender.
        roster: The newest one.
        header: Names this roster and this sender.
        payload: Client state or a delta, of any length.

    Returns:
        The signed link, and the blob.

    Raises:
        ForeignEnvelope: The header is of another run.
        RosterRefused: The header names another roster.
        NotAMember: The sender is not in the roster, or the header names another.
    """
    check_roster(header, roster)
    check_own(identity, roster)
    if header.sender != identity.name:
        raise NotAMember(
            f"A header of {header.sender!r} cannot be sealed with the key of {identity.name!r}. "
            "Name the sender whose key it is."
        )
    blob = _sealed(roster, header, memoryview(payload).cast("B"))
    return Link.signed(identity, header, canonical.sha256(blob), len(blob)), blob


def open_envelope(
    identity: Identity,
    roster: Roster,
    link: Link,
    blob: bytes | memoryview,
    max_bytes: int = MAX_BLOB_BYTES,
) -> bytes:
    """Opens a blob that belongs to a link which `verify_chain` has accepted.

    It takes memory for the payload, whose size follows from the blob's own, and for nothing that a
    header claims.

    Args:
        identity: A member of the roster.
        roster: That of the link's epoch.
        link: One that `verify_chain` returned.
        blob: What was sealed.
        max_bytes: Longest blob that is accepted.

    Raises:
        EnvelopeRefused: One of its kinds, in the order of the module's docstring.
    """
    header, view = link.header, memoryview(blob).cast("B")
    _check_size(link, view, max_bytes)
    check_roster(header, roster)
    position = check_own(identity, roster)
    link.check_signature(roster.find(header.sender))
    if canonical.sha256(view) != link.blob:
        raise DamagedEnvelope(
            f"The sealed state of link {header.number} is not the one that {header.sender!r} signed: a part "
            "of it was changed on the way or where it is kept. Fetch it again, or from another place."
        )
    wraps = _wraps(roster, link, view)
    file_key = identity.unwrap(wraps[position], header.encoded)
    body = view[_HEAD_BYTES + sum(map(len, wraps)) :]
    try:
        return chunks.decrypt(file_key, header.encoded, body)
    except InvalidTag:
        raise DamagedEnvelope(
            f"The sealed state of link {header.number} does not open, although {header.sender!r} signed it: "
            "it was sealed wrongly. Ask that member to seal it again with the same version of keras_split."
        ) from None


def check_roster(header: Header, roster: Roster) -> None:
    """Raises unless a header names this run and this very roster."""
    if header.run != roster.run:
        raise ForeignEnvelope(
            f"An envelope of run {header.run!r} is no part of run {roster.run!r}. Check that roster, store "
            "and server are all those of one run."
        )
    if (header.roster_epoch, header.roster_digest) != (roster.epoch, roster.digest):
        raise RosterRefused(
            f"An envelope was made under another roster than epoch {roster.epoch}, with which it was to be "
            "checked. Get the newest roster file from an owner, and restart. "
            f"Received: roster_epoch={header.roster_epoch}."
        )


def check_own(identity: Identity, roster: Roster) -> int:
    """Position of this identity in the roster.

    Raises:
        NotAMember: These very keys are not in it, whatever their name.
    """
    if identity.member not in roster.members:
        raise NotAMember(
            f"The key of {identity.name!r} is not in epoch {roster.epoch} of the roster of run "
            f"{roster.run!r}: it was never added, was removed, or was replaced. Use your newest key file, or "
            f"ask an owner. Members: {', '.join(member.name for member in roster.members)}."
        )
    return roster.members.index(identity.member)


def _check_size(link: Link, view: memoryview, max_bytes: int) -> None:
    if link.size > max_bytes:
        raise DamagedEnvelope(
            f"A sealed state may have up to {max_bytes:,} bytes here. Raise the limit if your model is that "
            f"large. Received: size={link.size:,}."
        )
    if len(view) != link.size:
        raise DamagedEnvelope(
            f"The sealed state of link {link.header.number} is not of the length that was signed, "
            f"{link.size:,} bytes: it was cut off or extended. Fetch it again. Received: {len(view):,} bytes."
        )


def _sealed(roster: Roster, header: Header, payload: memoryview) -> bytes:
    file_key = secrets.token_bytes(FILE_KEY_BYTES)
    blob = BytesIO()
    blob.write(_MAGIC + len(roster.members).to_bytes(_COUNT_BYTES, "big"))
    for member in roster.members:
        blob.write(member.wrapping.wrap(file_key, member.wrapping_key, header.encoded))
    chunks.encrypt(file_key, header.encoded, payload, blob)
    return blob.getvalue()


def _wraps(roster: Roster, link: Link, view: memoryview) -> list[memoryview]:
    """One for each member, in the roster's order; their lengths follow from the roster, not the blob."""
    if view[: len(_MAGIC)] != _MAGIC:
        raise DamagedEnvelope(
            f"The sealed state of link {link.header.number} is of an unknown format. Install the same "
            "version of keras_split at every member."
        )
    count = int.from_bytes(view[len(_MAGIC) : _HEAD_BYTES], "big")
    if count != len(roster.members):
        raise WrongRecipients(
            f"{link.header.sender!r} sealed link {link.header.number} to others than the "
            f"{len(roster.members)} members of roster epoch {roster.epoch}. Do not use it, and ask that "
            f"member's people why. Received: recipients={count}."
        )
    sizes = [member.wrapping.wrap_bytes for member in roster.members]
    starts = [_HEAD_BYTES + sum(sizes[:at]) for at in range(count)]
    return [view[start : start + size] for start, size in zip(starts, sizes, strict=True)]
