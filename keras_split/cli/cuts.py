"""`keras-split cuts`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from keras_split.cli.parameters import model_argument
from keras_split.cli.start import allow_modules_here, start_tensorflow
from keras_split.cli.text import percent, short, table

if TYPE_CHECKING:
    from keras_split.partition import Cut

_HEAD = ("Cut", "Frontier", "Bytes/sample", "Parameters", "Share", "FLOPs", "Share")


@click.command(short_help="List a model's legal cuts.")
@model_argument
@click.option(
    "--after",
    multiple=True,
    metavar="CUT",
    help="List the second cuts behind this cut, for training without sharing labels; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cuts(model: str, after: tuple[str, ...], as_json: bool) -> None:
    """List where MODEL may be cut, and what each cut costs the client.

    Bytes go up for one sample, and about as many come down in training. Parameters and FLOPs (of a
    forward pass) are the client's, and shares are of the whole model's.
    """
    start_tensorflow()
    allow_modules_here()
    from keras_split.partition import list_cuts, why_no_cut
    from keras_split.server.source import load_model

    whole = load_model(model)
    found = list_cuts(whole, after or None)
    if as_json:
        click.echo(json.dumps([asdict(cut) for cut in found], indent=2))
    elif found:
        click.echo(table(_HEAD, [_row(cut) for cut in found]))
    elif after:
        raise ValueError(
            f"There is no legal second cut behind {' + '.join(after)}: no layer with weights would be left "
            "to the client. Give an earlier cut as --after."
        )
    else:
        raise ValueError(why_no_cut(whole))


def _row(cut: Cut) -> tuple[str, ...]:
    return (
        cut.name,
        " + ".join(map(_shape, cut.shapes)),
        "varies" if cut.bytes_per_sample is None else f"{cut.bytes_per_sample:,}",
        f"{cut.client_parameters:,}",
        percent(cut.parameter_share),
        short(cut.client_flops),
        percent(cut.flops_share),
    )


def _shape(shape: tuple[Any, ...]) -> str:
    """Of one sample."""
    return "x".join("?" if size is None else str(size) for size in shape[1:]) or "scalar"
