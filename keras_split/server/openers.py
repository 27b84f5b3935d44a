"""Who can open the newest envelope of a run, and so go on from it."""

from __future__ import annotations

from collections.abc import Sequence

from keras_split.crypto import Link, Roster
from keras_split.errors import Refused


def openers(newest: Link, rosters: Sequence[Roster]) -> list[str]:
    """Members of the newest epoch whose keys of today the envelope was sealed to.

    Args:
        newest: Link of the envelope.
        rosters: All epochs.
    """
    epoch = newest.header.roster_epoch
    sealed_to = [member for roster in rosters if roster.epoch == epoch for member in roster.members]
    return [member.name for member in rosters[-1].members if member in sealed_to]


def check_openable(newest: Link, rosters: Sequence[Roster]) -> None:
    """Raises `Refused` where all members would wait for ever."""
    epoch, now = newest.header.roster_epoch, rosters[-1].epoch
    if epoch > now:
        raise Refused(
            f"The run is at epoch {epoch} of its roster, and this file ends with epoch {now}. Start the "
            "server with the newest file."
        )
    if not openers(newest, rosters):
        raise Refused(
            f"Nobody in epoch {now} of the roster can open the run's newest envelope, which was sealed to "
            f"the keys of epoch {epoch}: since then all have left or have got new keys. Go back to the "
            f"roster file of epoch {epoch}, here and at all members, and change one member at a time, with "
            "a turn of another in between. The only member of a run gets new keys under another name: add "
            "it, let the old one take a turn, and then remove that one."
        )
