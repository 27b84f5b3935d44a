"""`keras-split verify`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from keras_split.cli.parameters import check_function, second_cut_option
from keras_split.cli.start import allow_modules_here, start_tensorflow

_POSITIVE = click.IntRange(min=1)


@click.command(short_help="Show that split training equals whole training.")
@click.argument("build", metavar="package.module:function", callback=check_function)
@click.option("--cut", multiple=True, required=True, metavar="NAME", help="Layer; may be repeated.")
@second_cut_option
@click.option(
    "--data",
    metavar="package.module:function",
    callback=check_function,
    help="Returns (x, y). Default: random numbers that fit the model's inputs and loss.",
)
@click.option(
    "--clients", type=_POSITIVE, default=1, show_default=True, help="Data owners that train in turns."
)
@click.option(
    "--handover",
    default="server",
    show_default=True,
    metavar="WAY",
    help="With several clients: server, peer or file:///FOLDER.",
)
@click.option(
    "--exact",
    type=click.Choice(["default", "strict"]),
    default="default",
    show_default=True,
    help="Strict: TensorFlow rewrites no graphs, neither whole nor split.",
)
@click.option("--epochs", type=_POSITIVE, default=1, show_default=True, help="Passes.")
@click.option("--batch-size", type=_POSITIVE, default=32, show_default=True, help="Rows in a step.")
@click.option("--samples", type=_POSITIVE, default=100, show_default=True, help="Random rows.")
@click.option("--seed", type=int, default=0, show_default=True, help="For weights and shuffling.")
def verify(
    build: str,
    cut: tuple[str, ...],
    second_cut: tuple[str, ...],
    data: str | None,
    samples: int,
    seed: int,
    exact: str,
    **options: Any,
) -> None:
    """Train a model whole and split, and compare every variable after each step.

    The function returns the compiled model, which is built twice. With --clients the rows are dealt out to
    so many data owners, who train in turns on a server process, and hand over. Exits with 1 unless all
    is equal to the last bit.
    """
    start_tensorflow(exact=True)
    allow_modules_here()
    from keras_split.cli.random_data import random_data
    from keras_split.numerics import set_exactness
    from keras_split.server.source import load_model
    from keras_split.verification import verify as compare

    set_exactness(exact)
    make = partial(load_model, build)
    x, y = _function(data)() if data else random_data(make(), samples, seed)
    report = compare(make, _plain(cut), x, y, second_cut=_plain(second_cut) or None, seed=seed, **options)
    click.secho(str(report), fg="green" if report.equal else "red")
    click.get_current_context().exit(0 if report.equal else 1)


def _plain(names: tuple[str, ...]) -> str | tuple[str, ...]:
    return names[0] if len(names) == 1 else names


def _function(source: str) -> Callable[[], Any]:
    module, _, name = source.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"Cannot import {source!r} ({error}). Is it in PYTHONPATH?") from None
