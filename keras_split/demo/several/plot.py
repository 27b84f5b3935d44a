"""The turns in a picture, beside what they brought."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from keras_split.demo.several.run import Several

# As in the terminal.
_COLOURS = (
    *("#1f5fa8", "#d9854f", "#4f9d4f", "#a97fb5", "#d0a63c"),
    *("#17a3a3", "#a94a4a", "#5b87d6", "#86ab62", "#8a8a8a"),
)
# One machine's curve is no data owner's colour, so that all dots stand out from it.
_WAIT, _HAND, _ALONE = "#eceff3", "#555555", "#c8ced6"
_INK, _GRID = "#333333", "#e6e6e6"


def draw(outcome: Several, path: Path) -> None:
    """Draws the timeline, and loss and accuracy after each turn, into a PNG.

    One machine's curve is wide and pale, with the data owners' on it: where the two are equal, both are
    still to be seen.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.1)
    figure = Figure(figsize=(14, 5), dpi=150, layout=layout)
    FigureCanvasAgg(figure)
    axes: dict[str, Any] = figure.subplot_mosaic(
        [["turns", "loss"], ["turns", "accuracy"]], width_ratios=(2.2, 1)
    )
    colours = dict(zip(outcome.board.seats, _COLOURS, strict=False))
    _timeline(axes["turns"], outcome, colours)
    _curve(axes["loss"], outcome, colours, "test_loss", "Test loss")
    _curve(axes["accuracy"], outcome, colours, "test_accuracy", "Test accuracy")
    axes["accuracy"].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes["accuracy"].set_xlabel("turn", color=_INK)
    figure.suptitle(
        f"{outcome.title}, {len(outcome.board.seats)} data owners, handover by {outcome.handover}; "
        f"largest weight difference from one machine: {outcome.weight_difference:.3g}",
        fontsize=13,
        color=_INK,
    )
    figure.savefig(path)


def _timeline(axes: Any, outcome: Several, colours: dict[str, str]) -> None:
    rows = {name: at for at, name in enumerate(outcome.board.seats)}
    end = max(turn.ends or 0.0 for turn in outcome.turns)
    for name, row in rows.items():
        last = max((turn.ends or 0.0 for turn in outcome.turns if turn.member == name), default=0.0)
        axes.barh(row, last, height=0.5, color=_WAIT, zorder=1)
    for turn in outcome.turns:
        times = (turn.begins, turn.trained or end, turn.ends or end)
        for start, stop, alpha in ((*times[:2], 1.0), (*times[1:], 0.45)):
            style = {"color": colours[turn.member], "alpha": alpha, "linewidth": 0, "zorder": 2}
            axes.barh(rows[turn.member], stop - start, left=start, height=0.5, **style)
    for before, after in pairwise(outcome.turns):
        _handover(axes, (before.ends or end, rows[before.member]), (after.begins, rows[after.member]))
    axes.set_yticks(list(rows.values()), list(rows), fontsize=11)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, end * 1.01)
    axes.set_xlabel("seconds", color=_INK)
    _finish(axes, "Turns", _marks(list(colours.values())), "x")


def _marks(colours: list[str]) -> dict[str, Any]:
    return {
        "trains": tuple(Patch(color=colour, linewidth=0) for colour in colours),
        "tests, hands over": tuple(Patch(color=colour, alpha=0.45, linewidth=0) for colour in colours),
        "waits": Patch(color=_WAIT),
        "handover": Line2D([], [], color=_HAND, linewidth=1.0, marker="."),
    }


def _handover(axes: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From the end of a turn to the beginning of the next: sealed, kept, committed, fetched, opened."""
    down = 0.25 if end[1] > start[1] else -0.25
    xs, ys = (start[0], end[0]), (start[1] + down, end[1] - down)
    axes.plot(xs, ys, color=_HAND, linewidth=1.0, marker=".", markersize=4, zorder=3)


def _curve(axes: Any, outcome: Several, colours: dict[str, str], name: str, title: str) -> None:
    turns = outcome.turns
    numbers = [turn.number for turn in turns]
    ours = [turn.scores[name] for turn in turns]
    alone = [scores[name] for scores in outcome.alone.scores]
    wide = Line2D(numbers, alone, color=_ALONE, linewidth=7, solid_capstyle="round", zorder=1)
    thin = Line2D(numbers, ours, color=_HAND, linewidth=1.0, zorder=2)
    for line in (wide, thin):
        axes.add_line(line)
    dots = [colours[turn.member] for turn in turns]
    axes.scatter(numbers, ours, s=22, color=dots, zorder=3)
    axes.set_xlim(0, len(turns) + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axes, title, {"one machine": wide, "in turns": thin}, "y")


def _finish(axes: Any, title: str, marks: dict[str, Any], grid: str) -> None:
    axes.set_title(title, fontsize=11, color=_INK, loc="left")
    # Above the panel, in the title's line: nothing passes there.
    place = {"loc": "lower right", "bbox_to_anchor": (1.02, 0.98), "ncols": len(marks)}
    style = {"frameon": False, "labelcolor": _INK, "handlelength": 1.4, "columnspacing": 1.2}
    several = {tuple: HandlerTuple(ndivide=None, pad=0)}
    axes.legend(list(marks.values()), list(marks), handler_map=several, **place, **style)
    axes.tick_params(colors=_INK, length=0)
    axes.grid(axis=grid, color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
