"""`keras-split certs`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from keras_split.cli.parameters import FOLDER


@click.command(short_help="Make certificates for development.")
@click.option("--out", type=FOLDER, required=True, help="Folder for the set.")
@click.option(
    "--server",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="DNS name or IP address of the server; may be repeated. Default: this machine only.",
)
@click.option(
    "--client",
    "clients",
    multiple=True,
    metavar="NAME",
    help="Name of a data owner; may be repeated. Default: client.",
)
@click.option("--days", type=int, default=90, show_default=True, help="How long they are good for.")
def certs(out: Path, hosts: tuple[str, ...], clients: tuple[str, ...], days: int) -> None:
    """Make an authority, and certificates for a server and for each data owner.

    For development: a company with an authority of its own takes its certificates from there.
    """
    from keras_split import certs as authority

    hosts, clients = hosts or authority.HOSTS, clients or ("client",)
    authority.create(out, server=hosts, clients=clients, days=days)
    click.echo(_made(out, clients))
    click.echo(_next(out, hosts, clients))


def _made(out: Path, clients: tuple[str, ...]) -> str:
    folders = [
        ("ca", "the authority: keep it offline, whoever has ca.key can be anybody"),
        ("server", "for the server"),
        *((client, "for this data owner, over a safe way") for client in clients),
    ]
    width = max(len(str(out / name)) for name, _ in folders)
    return "\n".join(f"{str(out / name).ljust(width)}   {what}" for name, what in folders)


def _next(out: Path, hosts: tuple[str, ...], clients: tuple[str, ...]) -> str:
    host = next((each for each in hosts if not each.startswith("*")), "localhost")
    target = f"[{host}]:50051" if ":" in host else f"{host}:50051"
    server, client = (shlex.quote(str(out / name)) for name in ("server", clients[0]))
    # All interfaces, as the name in the certificate may be any of the machine's.
    bind = "" if host in ("localhost", "127.0.0.1", "::1") else " --host 0.0.0.0"
    lines = [
        f"  keras-split serve model.keras --cut NAME{bind} --certificates {server}",
        f"  keras-split status {target} --certificates {client}",
    ]
    return "\n".join([click.style("\nNext", bold=True), *lines])
