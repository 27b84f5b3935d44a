"""`keras-split demo`."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_split.cli.parameters import FOLDER, PRESENT_FOLDER
from keras_split.cli.several import check_handover, show_several
from keras_split.cli.start import start_tensorflow
from keras_split.cli.text import table
from keras_split.columns import percent, short
from keras_split.demo.recipes import MOST_CLIENTS, RECIPES

if TYPE_CHECKING:
    from keras_split.demo.report import Row
    from keras_split.demo.run import Outcome

_DATASETS = click.Choice(list(RECIPES))
_POSITIVE = click.IntRange(min=1)


@click.command(short_help="Train a model whole and split, and compare.")
@click.option("--dataset", type=_DATASETS, default="digits", show_default=True, help="Images.")
@click.option("--data-dir", type=FOLDER, help="Where tensorflow-datasets keeps prepared data.")
@click.option("--manual-dir", type=PRESENT_FOLDER, help="Files that you fetched yourself.")
@click.option("--epochs", type=_POSITIVE, help="Passes over the images. Default: by the data set.")
@click.option("--batch-size", type=_POSITIVE, help="Images in a step. Default: by the data set.")
@click.option("--cut", default="pool2", show_default=True, help="Layer to cut behind.")
@click.option("--second-cut", metavar="NAME", help="Last layer of the server, which then gets no labels.")
@click.option(
    "--clients", type=click.IntRange(2, MOST_CLIENTS), help="So many data owners that train in turns."
)
@click.option(
    "--handover",
    default="server",
    show_default=True,
    callback=check_handover,
    help="With --clients: server, store, peer, or a URL such as file:///share.",
)
@click.option("--out", type=FOLDER, default=Path("demo-output"), show_default=True, help="Folder for files.")
def demo(out: Path, clients: int | None, handover: str, **given: Any) -> None:
    """Train LeNet (for cifar10 a small VGG) whole, and split over two processes.

    Both start from the same seeds, so that all weights must be equal at the end, to the last bit;
    exits with 1 if they are not. With a second cut, the labels and the last layers stay in this process.

    With --clients, so many processes with keys and data of their own train one model in turns, and then
    one machine sees the same batches in the same order.
    """
    if handover != "server" and not clients:
        raise click.UsageError("--handover is how several data owners hand over. Add --clients 3.")
    recipe = RECIPES[given["dataset"]]
    from keras_split.datasets import check_available

    what = f"by {clients} data owners in turns" if clients else "whole and split"
    _say(f"{recipe.model_title} on {recipe.title}, {what}")
    out.mkdir(parents=True, exist_ok=True)
    # Before TensorFlow, whose start alone takes seconds.
    check_available(given["dataset"], data_dir=given["data_dir"], manual_dir=given["manual_dir"])
    start_tensorflow(exact=True)
    from keras_split.demo.run import Plan, run

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of libraries: nothing that who watches can mend.
        if clients:
            show_several(Plan(**given), clients, handover, out, _say)
        outcome = run(Plan(**given), _say)
    _show(outcome)
    _save(outcome, out)
    click.get_current_context().exit(0 if outcome.weight_difference == 0 else 1)


def _say(heading: str) -> None:
    click.secho(f"\n{heading}", bold=True)


def _show(outcome: Outcome) -> None:
    from keras_split.demo.report import rows

    cells = [[row.name, _cell(row, row.whole), _cell(row, row.split)] for row in rows(outcome)]
    click.echo(f"\n{table([outcome.title, 'whole', outcome.plan.split_title], cells)}\n")
    click.echo(_verdict(outcome))


def _verdict(outcome: Outcome) -> str:
    count, difference = sum(each.size for each in outcome.whole.weights), outcome.weight_difference
    fact = f"Largest difference of the {count:,} weights: {difference:.3g}."
    if difference == 0:
        return click.style(f"{fact} Split equals whole, to the last bit.", fg="green", bold=True)
    advice = "Split does NOT equal whole; docs/exactness.md lists the known reasons."
    return click.style(f"{fact} {advice}", fg="red", bold=True)


def _save(outcome: Outcome, out: Path) -> None:
    from keras_split.demo.plot import draw
    from keras_split.demo.report import to_json

    picture, numbers = out / "learning.png", out / "results.json"
    draw(outcome, picture)
    numbers.write_text(json.dumps(to_json(outcome), indent=2) + "\n")
    click.echo(f"\nCurves and traffic   {picture}\nAll numbers          {numbers}")


def _cell(row: Row, value: float | None) -> str:
    if value is None:
        return "-"
    if row.unit == "share":
        return percent(value)
    if row.unit == "seconds":
        return short(1e3 * value, "ms") if value < 1 else short(value, "s")
    return f"{value:,.0f}" if row.unit == "bytes" else f"{value:.4f}"
