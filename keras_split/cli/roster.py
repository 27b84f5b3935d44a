"""`keras-split roster` and its commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_split.cli.keygen import read_passphrase
from keras_split.cli.parameters import NEW_FILE, PRESENT_FILE, passphrase_option
from keras_split.cli.roster_text import summary
from keras_split.run_names import check_run

if TYPE_CHECKING:
    from keras_split.crypto import Identity, Member

_roster_argument = click.argument("path", metavar="ROSTER", type=PRESENT_FILE)
_owners_option = click.option(
    "--owner",
    "owners",
    type=PRESENT_FILE,
    multiple=True,
    metavar="KEY",
    help="Key file of an owner who signs now; may be repeated.",
)


def _check_run(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else check_run(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.group(short_help="Make, change and sign the list of a run's members.")
def roster() -> None:
    """Say who belongs to a run, signed by its owners.

    A change makes a new epoch. It is valid when enough owners have signed it; members then take the new file.
    """


@roster.command(short_help="Make a roster.")
@click.option(
    "--owner",
    "owners",
    type=PRESENT_FILE,
    multiple=True,
    required=True,
    metavar="KEY",
    help="Key file of an owner, who signs; or a .pub file of one who signs later. May be repeated.",
)
@click.option(
    "--member",
    "members",
    type=PRESENT_FILE,
    multiple=True,
    required=True,
    metavar="PUB",
    help="Public file of a member; may be repeated. Turns go round in this order.",
)
@click.option("--threshold", type=int, help="Owners that must sign a change. Default: all.")
@click.option(
    "--run",
    metavar="HEX",
    callback=_check_run,
    help="Name of the run: 8 to 64 hex digits in lower case. Default: a random one.",
)
@click.option("--out", type=NEW_FILE, required=True, help="The new roster file.")
@passphrase_option
def create(
    owners: tuple[Path, ...],
    members: tuple[Path, ...],
    threshold: int | None,
    run: str | None,
    out: Path,
    passphrase_file: Path | None,
) -> None:
    """Make the roster of a new run. All of its owners sign the first epoch."""
    from keras_split.crypto import create_roster

    if out.exists():
        raise FileExistsError(
            f"{out} exists. `keras-split roster add` and others change it; or choose another."
        )
    public = [path for path in owners if path.suffix == ".pub"]
    signers = _identities([path for path in owners if path not in public], passphrase_file)
    people = [*(signer.member for signer in signers), *_members(public)]
    _save(out, create_roster(_members(members), people, threshold, run, signers))


@roster.command(short_help="Show a roster, and whether it is valid.")
@_roster_argument
def show(path: Path) -> None:
    """Show the newest epoch of ROSTER, and fail unless it is valid."""
    from keras_split.crypto import read_roster

    text = path.read_bytes()
    click.echo(summary(text))
    read_roster(text)


@roster.command(short_help="Add members.")
@_roster_argument
@click.option("--member", "members", type=PRESENT_FILE, multiple=True, required=True, metavar="PUB")
@_owners_option
@passphrase_option
def add(
    path: Path, members: tuple[Path, ...], owners: tuple[Path, ...], passphrase_file: Path | None
) -> None:
    """Add members to ROSTER; they open what is sealed from the next epoch on."""
    from keras_split.crypto import amend

    signers = _identities(owners, passphrase_file)
    _save(path, amend(path.read_bytes(), add=_members(members), signers=signers))


@roster.command(short_help="Remove members.")
@_roster_argument
@click.option("--member", "names", multiple=True, required=True, metavar="NAME")
@_owners_option
@passphrase_option
def remove(
    path: Path, names: tuple[str, ...], owners: tuple[Path, ...], passphrase_file: Path | None
) -> None:
    """Remove members from ROSTER.

    They open nothing that is sealed from the next epoch on, and keep what they have seen.
    """
    from keras_split.crypto import amend

    signers = _identities(owners, passphrase_file)
    _save(path, amend(path.read_bytes(), remove=names, signers=signers))


@roster.command(short_help="Give a member new keys.")
@_roster_argument
@click.option("--old", type=PRESENT_FILE, required=True, metavar="KEY", help="The member's key file so far.")
@click.option("--new", type=PRESENT_FILE, required=True, metavar="PUB", help="The .pub file of the new keys.")
@_owners_option
@passphrase_option
def rotate(path: Path, old: Path, new: Path, owners: tuple[Path, ...], passphrase_file: Path | None) -> None:
    """Give a member new keys, which its old key signs.

    The member itself runs this, and sends the file to the owners, who sign it.
    """
    from keras_split.crypto import amend

    [before] = _identities([old], passphrase_file)
    [after] = _members([new])
    signers = _identities(owners, passphrase_file)
    _save(path, amend(path.read_bytes(), rotate=[(before, after)], signers=signers))


@roster.command(short_help="Sign the newest epoch as an owner.")
@_roster_argument
@_owners_option
@passphrase_option
def sign(path: Path, owners: tuple[Path, ...], passphrase_file: Path | None) -> None:
    """Add an owner's signature to the newest epoch of ROSTER. Look at it first, with `show`."""
    from keras_split.crypto import sign_roster

    if not owners:
        raise click.UsageError("Give --owner KEY.")
    text = path.read_text()
    for owner in _identities(owners, passphrase_file):
        text = sign_roster(text, owner)
    _save(path, text)


def _identities(paths: tuple[Path, ...] | list[Path], passphrase_file: Path | None) -> list[Identity]:
    from keras_split.crypto import Identity

    passphrase = read_passphrase(passphrase_file)
    return [Identity.load(path, passphrase) for path in paths]


def _members(paths: tuple[Path, ...] | list[Path]) -> list[Member]:
    from keras_split.crypto import Member

    return [Member.from_json(path.read_bytes()) for path in paths]


def _save(path: Path, text: str) -> None:
    """Puts the whole new file in the place of the old one, or leaves that as it is."""
    temporary = path.with_name(f".{path.name}.writing-{os.getpid()}")
    try:
        temporary.write_text(text)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    click.echo(summary(text))
