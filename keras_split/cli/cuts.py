"""`keras-split cuts`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from keras_split.cli.parameters import model_argument
from keras_split.cli.start import allow_modules_here, start_tensorflow
from keras_split.cli.text import table


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
        click.echo(table(found.titles, found.rows()))
    elif after:
        raise ValueError(
            f"There is no legal second cut behind {' + '.join(after)}: no layer with weights would be left "
            "to the client. Give an earlier cut as --after."
        )
    else:
        raise ValueError(why_no_cut(whole))
