"""Options of `serve` for a run of several data owners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from keras_split.server import RunOptions

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--roster",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Signed file of the members that train in turns (`keras-split roster`). Needs --checkpoint-dir.",
    ),
    click.option(
        "--turns",
        default="round-robin",
        show_default=True,
        metavar="ORDER",
        help="With --roster: round-robin, priority:NAME=NUMBER,… or random:SEED.",
    ),
    click.option(
        "--steps-per-turn",
        default="epoch",
        show_default=True,
        metavar="LENGTH",
        help="With --roster: how long a turn is: epoch, `3 epochs`, 100 (steps) or 30s.",
    ),
    click.option(
        "--commit-every",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="STEPS",
        help="With --roster: also commit within a turn, so that a fault costs fewer steps; 0 for never.",
    ),
    click.option(
        "--absence-seconds",
        type=click.FloatRange(min=0),
        default=60.0,
        show_default=True,
        help="With --roster: how long a member that does not ask for its turn is waited for.",
    ),
    click.option(
        "--max-blob-mib",
        type=click.IntRange(min=1),
        default=1024,
        show_default=True,
        help="With --roster: one envelope that members hand over by this server.",
    ),
    click.option(
        "--max-total-mib",
        type=click.IntRange(min=1),
        default=65536,
        show_default=True,
        help="With --roster: all of these envelopes.",
    ),
)
_NAMES = (
    "roster",
    "turns",
    "steps_per_turn",
    "commit_every",
    "absence_seconds",
    "max_blob_mib",
    "max_total_mib",
)
_MIB = 1 << 20


def run_options(command: Command) -> Command:
    """Adds the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_from(given: dict[str, Any]) -> RunOptions | None:
    """Takes the run's options out of all; None without a roster.

    Raises:
        UsageError: Options that do not go together, or no such order or length.
    """
    roster, order, length, every, absence, *ceilings = (given.pop(name) for name in _NAMES)
    if roster is None:
        return None
    if given["checkpoint_dir"] is None:
        raise click.UsageError("--roster needs --checkpoint-dir: a run lasts as long as its commits.")
    from keras_split.crypto import read_rosters
    from keras_split.server import RunOptions
    from keras_split.turns import Quota, order_of

    try:
        order_of(order)
        quota = Quota.parse(length)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    text = roster.read_text()
    blob, total = (each * _MIB for each in ceilings)
    return RunOptions(text, read_rosters(text), order, quota, every, absence, (blob, total))
