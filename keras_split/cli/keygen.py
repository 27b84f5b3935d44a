"""`keras-split keygen`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_split.cli.parameters import NEW_FILE, passphrase_option
from keras_split.cli.text import grouped

if TYPE_CHECKING:
    from keras_split.crypto import Identity


@click.command(short_help="Make the keys of a member or an owner.")
@click.option("--out", type=NEW_FILE, required=True, help="Key file; the public one stands beside it.")
@click.option("--name", help="Name of the member, that of its certificate. Default: the file's.")
@passphrase_option
@click.option("--classical", is_flag=True, help="Wrap by X25519 alone: smaller, and not post-quantum.")
def keygen(out: Path, name: str | None, passphrase_file: Path | None, classical: bool) -> None:
    """Make the keys of a member of a run, or of an owner of its roster.

    The key file never leaves its owner. The .pub file goes to the owners of the roster.
    """
    from keras_split.crypto import Identity

    public = out.with_suffix(".pub")
    _check_names(out, public)
    identity = Identity.generate(out.stem if name is None else name, post_quantum=not classical)
    identity.save(out, read_passphrase(passphrase_file))
    public.write_text(identity.member.to_json())
    click.echo(_made(out, public, identity))


def read_passphrase(path: Path | None) -> str | None:
    """The first line of a file that only its owner can read."""
    from keras_split.keyfiles import read_key

    if path is None:
        return None
    return read_key(path).decode().split("\n")[0].rstrip("\r")


def _check_names(out: Path, public: Path) -> None:
    if out == public:
        raise click.UsageError("--out is the key file; the .pub file is made beside it. Use another suffix.")
    if public.exists():
        raise FileExistsError(f"{public} exists, and keys are never overwritten. Choose another name.")


def _made(out: Path, public: Path, identity: Identity) -> str:
    width = max(len(str(out)), len(str(public)))
    lines = [
        f"{str(out).ljust(width)}   the secret of {identity.name}, which stays here: nobody else may read it",
        f"{str(public).ljust(width)}   for the owners of the roster",
        "",
        click.style("Fingerprint", bold=True) + ", to compare with them over another way",
        f"  {grouped(identity.member.fingerprint)}",
    ]
    return "\n".join(lines)
