"""`keras-split status`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from keras_split.cli.parameters import check_tls, tls_options
from keras_split.cli.text import duration, facts, short

_DEADLINE_SECONDS = 10.0


@click.command(short_help="Show what a server does.")
@click.argument("target", metavar="HOST:PORT")
@tls_options("client")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(target: str, certificates: Path | None, insecure: bool, as_json: bool) -> None:
    """Show what the server at HOST:PORT does at the moment."""
    check_tls(certificates, insecure, "It is the folder that `keras-split certs` made for you.")
    found = _ask(target, certificates, insecure)
    click.echo(json.dumps(found, indent=2) if as_json else facts(_readable(found)))


def _ask(target: str, certificates: Path | None, insecure: bool) -> dict[str, Any]:
    """Asks without a `Session`, which would load TensorFlow for five seconds."""
    import grpc

    from keras_split._proto.v1 import split_pb2 as pb
    from keras_split.codec import Limits
    from keras_split.errors import from_rpc
    from keras_split.transport import Credentials, Meter, open_channel, stub

    credentials = Credentials.from_directory(certificates) if certificates else None
    with open_channel(target, credentials, insecure=insecure, limits=Limits()) as channel:
        try:
            reply = stub(channel, "Status", Meter())(pb.StatusRequest(), timeout=_DEADLINE_SECONDS)
        except grpc.RpcError as error:
            raise from_rpc(error, target) from None
    return {**_fields(reply), "peer": _fields(reply.peer)}


def _fields(message: Any) -> dict[str, Any]:
    return {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}


def _readable(found: dict[str, Any]) -> list[tuple[str, str]]:
    peer = found["peer"]
    return [
        ("Model", f"{found['model']}, cut at {found['cut']}"),
        ("Update", f"{found['version']:,}"),
        ("Training now", found["trainer"] or "nobody"),
        ("Turns", f"{found['turns']:,}"),
        ("Steps", f"{found['steps']:,}"),
        ("Inferences", f"{found['inferences']:,}"),
        ("Received", short(found["bytes_received"], "B")),
        ("Sent", short(found["bytes_sent"], "B")),
        ("Up for", duration(found["uptime_seconds"])),
        ("Strategy", found["strategy"]),
        ("Topology", found["topology_digest"][:12]),
        (
            "Versions",
            f"keras_split {peer['package_version']}, Keras {peer['keras_version']}, "
            f"TensorFlow {peer['tensorflow_version']}, protocol {peer['protocol']}",
        ),
        ("Computes with", peer["fingerprint"]),
    ]
