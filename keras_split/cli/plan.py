"""`keras-split plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from keras_split.cli.parameters import model_argument, second_cut_option
from keras_split.cli.start import allow_modules_here, start_tensorflow
from keras_split.cli.text import table

if TYPE_CHECKING:
    from keras_split.planning import Plan

_POSITIVE = click.FloatRange(min=0, min_open=True)
_WHOLE = click.IntRange(min=1)
_PICTURE = click.Path(dir_okay=False, path_type=Path)


class _Conditions(TypedDict):
    bandwidth_mbps: float
    rtt_ms: float
    client_gflops: float
    server_gflops: float
    batch_size: int


@click.command(short_help="Predict which cut trains fastest.")
@model_argument
@click.option("--bandwidth-mbps", type=_POSITIVE, required=True, help="Of the line, each way, in Mbit/s.")
@click.option("--rtt-ms", type=click.FloatRange(min=0), required=True, help="Round trip in milliseconds.")
@click.option("--client-gflops", type=_POSITIVE, required=True, help="Speed of the client in GFLOP/s.")
@click.option("--server-gflops", type=_POSITIVE, required=True, help="Speed of the server in GFLOP/s.")
@click.option("--batch-size", type=_WHOLE, default=32, show_default=True, help="Rows in a step.")
@click.option(
    "--cut", "cuts", multiple=True, metavar="NAME", help="Plan this cut only; one --cut for each to compare."
)
@second_cut_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", type=_PICTURE, help="Also draw the bars into a .png, .svg or .pdf file.")
def plan(
    model: str,
    cuts: tuple[str, ...],
    second_cut: tuple[str, ...],
    as_json: bool,
    plot: Path | None,
    **conditions: Unpack[_Conditions],
) -> None:
    """Predict a training step of a compiled MODEL for each cut, without training.

    Bytes are exact for the labels that the loss suggests. Times follow from bytes, counted operations
    and what you say about the line and the machines; they compare cuts, and leave much out that a real
    step takes. The fastest cut need not be the one that shows the server least.
    """
    start_tensorflow()
    allow_modules_here()
    from keras_split.planning import plan as predict
    from keras_split.server.source import load_model

    found = predict(load_model(model), cuts=cuts or None, second_cut=second_cut or None, **conditions)
    if plot:
        found.draw(plot)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else _readable(found))


def _readable(found: Plan) -> str:
    from keras_split.planning.table import heading, rows

    head = click.style(f"{found.title}, ", bold=True) + str(found.conditions)
    return f"{head}\n\n{table(heading(found.cuts), rows(found.cuts))}"
