"""`keras-split status`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from keras_split.cli.parameters import check_tls, tls_options
from keras_split.cli.standing import shown

_DEADLINE_SECONDS = 10.0
_CLEAR = "\033[H\033[2J"


@click.command(short_help="Show what a server does.")
@click.argument("target", metavar="HOST:PORT")
@tls_options("client")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch one line each time.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    is_flag=False,
    flag_value=2.0,
    metavar="[SECONDS]",
    help="Show it again every so many seconds (2 if none are given), until Ctrl-C.",
)
def status(
    target: str, certificates: Path | None, insecure: bool, as_json: bool, watch: float | None
) -> None:
    """Show what the server at HOST:PORT does at the moment: who trains, who waits, and what was committed."""
    check_tls(certificates, insecure, "It is the folder that `keras-split certs` made for you.")
    import grpc  # noqa: F401  Before the first line is printed, since it takes a while.

    from keras_split.codec import Limits
    from keras_split.transport import Credentials, open_channel

    credentials = Credentials.from_directory(certificates) if certificates else None
    with open_channel(target, credentials, insecure=insecure, limits=Limits()) as channel:
        ask = _asker(channel, target)
        if watch is None:
            found = ask()
            click.echo(json.dumps(found, indent=2) if as_json else shown(found))
        else:
            _watch(ask, watch, as_json=as_json)


def _asker(channel: Any, target: str) -> Callable[[], dict[str, Any]]:
    """Asks without a `Session`, which would load TensorFlow for five seconds."""
    import grpc

    from keras_split._proto.v1 import split_pb2 as pb
    from keras_split.errors import from_rpc
    from keras_split.transport import Meter, stub

    call = stub(channel, "Status", Meter())

    def ask() -> dict[str, Any]:
        try:
            reply = call(pb.StatusRequest(), timeout=_DEADLINE_SECONDS)
        except grpc.RpcError as error:
            raise from_rpc(error, target) from None
        return {
            **fields(reply),
            "peer": fields(reply.peer),
            "members": [fields(each) for each in reply.members],
        }

    return ask


def fields(message: Any) -> dict[str, Any]:
    """A message's fields by name."""
    return {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}


def _watch(ask: Callable[[], dict[str, Any]], seconds: float, *, as_json: bool) -> None:
    from keras_split.errors import ConnectionLost, DeadlineExceeded

    clear = _CLEAR if sys.stdout.isatty() and not as_json else ""
    try:
        while True:
            try:
                found = ask()
                click.echo(clear + (json.dumps(found) if as_json else shown(found) + "\n"))
            except (ConnectionLost, DeadlineExceeded) as error:
                # It may be starting again.
                click.secho(f"{clear}{error}", fg="red", err=True)
            time.sleep(seconds)
    except KeyboardInterrupt:
        return
