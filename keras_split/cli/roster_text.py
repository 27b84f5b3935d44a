"""A roster, for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from keras_split.cli.text import facts, grouped

if TYPE_CHECKING:
    from keras_split.crypto.epoch import Roster
    from keras_split.crypto.member import Member


def summary(text: str | bytes) -> str:
    """The newest epoch of a roster file, its signatures and the fingerprint of each of its people.

    Raises:
        RosterRefused: It is no roster file.
    """
    from keras_split.crypto.signed import read_file

    newest = read_file(text)[-1]
    roster, signers = newest.roster, newest.signers
    pairs = [
        ("Run", roster.run),
        ("Epoch", str(roster.epoch)),
        ("Signed by", _signed_by(roster, signers)),
        ("Digest", grouped(roster.digest)),
    ]
    people = [_people("Owners", roster.owners), _people("Members, in the order of turns", roster.members)]
    return "\n\n".join([facts(pairs), *people])


def _signed_by(roster: Roster, signers: list[str]) -> str:
    waiting = [owner.name for owner in roster.owners if owner.name not in signers]
    missing = roster.needed_signatures - len(signers)
    names = ", ".join(signers) or "nobody"
    if missing <= 0:
        return f"{names} ({len(signers)} of {roster.needed_signatures} needed)"
    note = f"not valid yet: needs {missing} more of {', '.join(waiting)}"
    return f"{names}; " + click.style(note, fg="yellow")


def _people(title: str, people: tuple[Member, ...]) -> str:
    width = max(len(each.name) for each in people)
    suite = max(len(each.suite) for each in people)
    lines = [
        f"  {each.name.ljust(width)}   {click.style(each.suite.ljust(suite), dim=True)}   "
        f"{grouped(each.fingerprint)}"
        for each in people
    ]
    return "\n".join([click.style(title, bold=True), *lines])
