"""Options of `serve` for those who look on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from keras_split.cli.logs import FORMATS
from keras_split.cli.parameters import FOLDER, NEW_FILE

if TYPE_CHECKING:
    from keras_split.server import ObserverOptions

Command = TypeVar("Command", bound=Callable[..., Any])


def _check_metrics(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    """`HOST:PORT`, or a port on loopback."""
    if value is None:
        return ""
    host, _, port = value.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(f"Expected HOST:PORT or PORT. Received: {value!r}.", ctx, param)
    return f"{host or '127.0.0.1'}:{port}"


_OPTIONS = (
    click.option(
        "--audit-log",
        type=NEW_FILE,
        metavar="FILE",
        help="Append who did what and when, in lines that are chained by digests (`keras-split log verify`).",
    ),
    click.option(
        "--metrics",
        metavar="[HOST:]PORT",
        callback=_check_metrics,
        help="Answer Prometheus by plain HTTP, on loopback unless a HOST is given; 0 picks a port.",
    ),
    click.option(
        "--tensorboard",
        type=FOLDER,
        metavar="DIR",
        help="Write scalars for TensorBoard: loss by client, turns, waits, bytes.",
    ),
    click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="Of the log on standard error.",
    ),
)


def observer_options(command: Command) -> Command:
    """Adds the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def observers_from(given: dict[str, Any]) -> ObserverOptions:
    """Takes the observers' options out of all."""
    from keras_split.server import ObserverOptions

    return ObserverOptions(given.pop("audit_log"), given.pop("metrics"), given.pop("tensorboard"))
