"""`keras-split demo --clients N`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_split.cli.text import table
from keras_split.columns import percent, short

if TYPE_CHECKING:
    from keras_split.demo.run import Plan
    from keras_split.demo.several.run import Several

_WAYS = ("server", "store", "peer")


def check_handover(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Accepts a way by name, or a URL."""
    del context, parameter
    if value in _WAYS or all(value.partition("://")):
        return value
    raise click.BadParameter(
        f"Expected {', '.join(_WAYS)}, or a URL such as file:///share. Received: {value!r}."
    )


def show_several(plan: Plan, clients: int, handover: str, out: Path, say: Callable[[str], None]) -> None:
    """Runs it, prints what came out, and exits with 1 unless it equals one machine's.

    Args:
        plan: What to show.
        clients: How many data owners.
        handover: In which way.
        out: Folder for files.
        say: Prints a heading.
    """
    from keras_split.demo.several.run import run
    from keras_split.demo.several.view import View

    outcome = run(plan, clients, handover, out / "logs", say, View().show)
    _show(outcome)
    _save(outcome, out)
    click.get_current_context().exit(0 if outcome.weight_difference == 0 else 1)


def _show(outcome: Several) -> None:
    from keras_split.demo.several.report import counts, scores

    each = [[name, *(_cell(unit, value) for value in values)] for name, unit, values in counts(outcome)]
    click.echo(f"\n{table(['Each data owner', *outcome.board.seats], each)}")
    both = [[name, _cell(unit, ours), _cell(unit, theirs)] for name, unit, ours, theirs in scores(outcome)]
    click.echo(f"\n{table([outcome.title, 'in turns', 'one machine'], both)}\n")
    click.echo(_verdict(outcome))


def _verdict(outcome: Several) -> str:
    count = sum(each.size for each in outcome.variables.values())
    fact = f"Largest difference of the {count:,} weights: {outcome.weight_difference:.3g}."
    if outcome.weight_difference == 0:
        claim = "Data owners in turns equal one machine, to the last bit."
        return click.style(f"{fact} {claim}", fg="green", bold=True)
    advice = "They do NOT equal one machine; docs/exactness.md lists the known reasons."
    return click.style(f"{fact} {advice}", fg="red", bold=True)


def _save(outcome: Several, out: Path) -> None:
    from keras_split.demo.several.plot import draw
    from keras_split.demo.several.report import to_json

    picture, numbers = out / "turns.png", out / "turns.json"
    draw(outcome, picture)
    numbers.write_text(json.dumps(to_json(outcome), indent=2) + "\n")
    click.echo(f"\nTurns and curves      {picture}\nAll numbers           {numbers}")
    click.echo(f"Log of each process   {out / 'logs'}")


def _cell(unit: str, value: Any) -> str:
    if unit == "share":
        return percent(value)
    if unit == "bytes":
        return short(value, "B")
    if unit == "seconds":
        return f"{value:.1f} s"
    return f"{value:,}" if unit == "count" else f"{value:.4f}"
