"""Identities, rosters, and client state that only the members of a roster can open.

The rules, and what each of them is against, are in `docs/handover.md`. Nothing here reads or writes the
network, and only keys and pins touch the disk.
"""

from keras_split.crypto.chain import Pin, verify_chain
from keras_split.crypto.envelope import MAX_BLOB_BYTES, Header, Link, check_own, open_envelope, seal
from keras_split.crypto.epoch import Roster
from keras_split.crypto.identity import Identity
from keras_split.crypto.link import MAX_LINK_BYTES, Trained
from keras_split.crypto.member import Member
from keras_split.crypto.pinned import Pinned
from keras_split.crypto.roster import amend, create_roster, read_roster, read_rosters, sign_roster

__all__ = [
    "MAX_BLOB_BYTES",
    "MAX_LINK_BYTES",
    "Header",
    "Identity",
    "Link",
    "Member",
    "Pin",
    "Pinned",
    "Trained",
    "Roster",
    "amend",
    "check_own",
    "create_roster",
    "open_envelope",
    "read_roster",
    "read_rosters",
    "seal",
    "sign_roster",
    "verify_chain",
]
