"""`keras-split store`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from keras_split.cli.parameters import FOLDER, check_tls, tls_options

_MIB = 1 << 20
_ADVICE = (
    "`keras-split certs --out certificates --store HOST` makes a set for development, of which the store "
    "takes certificates/store. "
    "For trials on this machine alone there is --insecure."
)
_POSITIVE = click.IntRange(min=1)


@click.command(short_help="Keep sealed weights for data owners.")
@click.option("--listen", "address", required=True, metavar="HOST:PORT", help="Where; port 0 picks one.")
@tls_options("store")
@click.option("--folder", type=FOLDER, required=True, help="Where the blobs are kept; for this store alone.")
@click.option("--max-blob-mib", type=_POSITIVE, default=1024, show_default=True, help="One blob.")
@click.option("--max-total-mib", type=_POSITIVE, default=65536, show_default=True, help="All blobs together.")
@click.option(
    "--keep-days", type=click.FloatRange(min=0, min_open=True), help="Drop older blobs. Default: none."
)
@click.option(
    "--roster",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Signed file of a run's members: serve nobody else. Default: every data owner of the authority.",
)
def store(
    address: str,
    certificates: Path | None,
    insecure: bool,
    folder: Path,
    max_blob_mib: int,
    max_total_mib: int,
    keep_days: float | None,
    roster: Path | None,
) -> None:
    """Keep what data owners have sealed for each other, until SIGTERM or Ctrl-C.

    A store has no keys: it sees how large blobs are and when they come and go, and reads none of them.
    Prints `Listening on HOST:PORT` when it accepts calls.
    """
    check_tls(certificates, insecure, _ADVICE)
    from keras_split.store import StoreOptions, serve_store
    from keras_split.transport import Credentials

    _check_address(address, insecure)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    options = StoreOptions(
        folder,
        address,
        Credentials.from_directory(certificates) if certificates else None,
        max_blob_mib * _MIB,
        max_total_mib * _MIB,
        keep_days,
        members=_members(roster),
    )
    serve_store(options, lambda where: click.echo(f"Listening on {where}"))


def _members(roster: Path | None) -> list[str] | None:
    if roster is None:
        return None
    from keras_split.crypto import read_roster

    return [member.name for member in read_roster(roster.read_text()).members]


def _check_address(address: str, insecure: bool) -> None:
    from keras_split.transport.addresses import check_target, is_loopback

    check_target(address)
    if insecure and not is_loopback(address):
        raise click.UsageError(
            f"Without TLS anyone who can reach {address} could fill the store. Give --certificates DIR, or "
            "listen on 127.0.0.1."
        )
