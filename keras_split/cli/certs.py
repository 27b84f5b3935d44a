"""`keras-split certs`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
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
    metavar="NAME[=HOST]",
    help="Name of a data owner, and where other data owners reach it (hosts with commas between them); "
    "may be repeated. Default: client, on this machine.",
)
@click.option(
    "--inference",
    multiple=True,
    metavar="NAME",
    help="Name of who may ask for predictions and do nothing else; may be repeated.",
)
@click.option(
    "--store",
    multiple=True,
    metavar="HOST",
    help="DNS name or IP address of a weight store; may be repeated. Default: none.",
)
@click.option("--days", type=int, default=90, show_default=True, help="How long they are good for.")
def certs(
    out: Path,
    hosts: tuple[str, ...],
    clients: tuple[str, ...],
    inference: tuple[str, ...],
    store: tuple[str, ...],
    days: int,
) -> None:
    """Make an authority, and certificates for a server and for each data owner.

    Each certificate names a role: `--client` trains, `--inference` only predicts, `--store` keeps sealed
    states. For development: a company with an authority of its own takes its certificates from there.
    """
    from keras_split import certs as authority

    hosts, owners = hosts or authority.HOSTS, _owners(clients or ("client",))
    authority.create(out, server=hosts, clients=owners, inference=inference, store=store, days=days)
    click.echo(_made(out, owners, inference, store))
    click.echo(_next(out, hosts, next(iter(owners))))


def _owners(given: tuple[str, ...]) -> dict[str, list[str]]:
    """From names to hosts; none where a data owner named none."""
    owners: dict[str, list[str]] = {}
    for each in given:
        name, _, hosts = each.partition("=")
        if name in owners:
            raise click.UsageError(
                f"--client {name} was given twice. Give its hosts with commas between them."
            )
        owners[name] = hosts.split(",") if hosts else []
    return owners


def _made(out: Path, clients: Iterable[str], inference: Iterable[str], store: tuple[str, ...]) -> str:
    folders = [
        ("ca", "the authority: keep it offline, whoever has ca.key can be anybody"),
        ("server", "for the server"),
        *([("store", "for the weight store")] if store else []),
        *((client, "for this data owner, over a safe way") for client in clients),
        *((name, "for predictions alone, over a safe way") for name in inference),
    ]
    width = max(len(str(out / name)) for name, _ in folders)
    return "\n".join(f"{str(out / name).ljust(width)}   {what}" for name, what in folders)


def _next(out: Path, hosts: tuple[str, ...], owner: str) -> str:
    host = next((each for each in hosts if not each.startswith("*")), "localhost")
    target = f"[{host}]:50051" if ":" in host else f"{host}:50051"
    server, client = (shlex.quote(str(out / name)) for name in ("server", owner))
    # All interfaces, as the name in the certificate may be any of the machine's.
    bind = "" if host in ("localhost", "127.0.0.1", "::1") else " --host 0.0.0.0"
    lines = [
        f"  keras-split serve model.keras --cut NAME{bind} --certificates {server}",
        f"  keras-split status {target} --certificates {client}",
    ]
    return "\n".join([click.style("\nNext", bold=True), *lines])
