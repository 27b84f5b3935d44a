"""The outcome in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from keras_split.demo.run import Outcome

_WHOLE, _SPLIT, _UP, _DOWN = "#f2b880", "#1f4e79", "#1f4e79", "#8fb3d3"
_INK, _GRID = "#333333", "#e6e6e6"


def draw(outcome: Outcome, path: Path) -> None:
    """Draws both learning curves and the traffic of each epoch into a PNG.

    The whole model's line is wide and pale, with the split model's on it: where the two are equal,
    both are still to be seen.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)
    figure = Figure(figsize=(12, 4.4), dpi=150, layout=layout)
    FigureCanvasAgg(figure)
    loss, accuracy, traffic = figure.subplots(1, 3)
    _curves(loss, outcome, "loss", "Training loss")
    _curves(accuracy, outcome, "test_accuracy", "Test accuracy")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    accuracy.set_ylim(top=min(accuracy.get_ylim()[1], 1.005))
    _traffic(traffic, outcome)
    figure.suptitle(
        f"{outcome.title}, cut at {outcome.plan.cuts}: "
        f"largest weight difference {outcome.weight_difference:.3g}",
        fontsize=13,
        color=_INK,
    )
    figure.savefig(path)


def _curves(axes: Any, outcome: Outcome, name: str, title: str) -> None:
    wide = {"color": _WHOLE, "linewidth": 7, "marker": "o", "markersize": 7, "mew": 0}
    thin = {"color": _SPLIT, "linewidth": 1.6, "marker": "o", "markersize": 4}
    for training, label, style in ((outcome.whole, "whole", wide), (outcome.split, "split", thin)):
        values = training.history[name]
        axes.plot(range(1, len(values) + 1), values, label=label, solid_capstyle="round", **style)
    _finish(axes, outcome, title)


def _traffic(axes: Any, outcome: Outcome) -> None:
    history = outcome.split.history
    for name, label, color, shift in (
        ("bytes_sent", "up", _UP, -0.19),
        ("bytes_received", "down", _DOWN, 0.19),
    ):
        megabytes = [count / 1e6 for count in history[name]]
        places = [epoch + shift for epoch in range(1, len(megabytes) + 1)]
        axes.bar(places, megabytes, width=0.36, label=label, color=color)
    _finish(axes, outcome, "MB per epoch")


def _finish(axes: Any, outcome: Outcome, title: str) -> None:
    axes.set_title(title, fontsize=11, color=_INK, loc="left")
    # Above the panel, in the title's line: no curve passes there.
    place = {"loc": "lower right", "bbox_to_anchor": (1.02, 0.98), "ncols": 2}
    axes.legend(frameon=False, labelcolor=_INK, handlelength=1.4, columnspacing=1.2, **place)
    axes.set_xlabel("epoch", color=_INK)
    # Where there are few epochs, a bar is not to fill the panel.
    axes.set_xlim(0.4, max(len(outcome.whole.history["loss"]), 3) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(colors=_INK, length=0)
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
