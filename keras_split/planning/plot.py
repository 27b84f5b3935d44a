"""A plan in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter

from keras_split.planning.planned import PlannedCut

# Warm for the client, blue for the line, green for the server.
_COLORS = {
    "client forward": "#e08e3e",
    "upload": "#1f4e79",
    "server": "#5a9e7c",
    "download": "#8fb3d3",
    "client tail": "#b5651d",
    "client backward": "#f2c48d",
    "round trip": "#c4c4c4",
}
_INK, _GRID = "#333333", "#e6e6e6"
_BAR_INCHES, _FRAME_INCHES = 0.38, 1.9


def draw(title: str, note: str, cuts: Sequence[PlannedCut], path: Path, most: int) -> None:
    """Draws a bar for each cut, the first on top.

    Args:
        title: Above the picture.
        note: Below the bars.
        cuts: In their order.
        path: Of the picture.
        most: Bars.
    """
    shown = cuts[:most]
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1)
    figure = Figure(figsize=(11, _FRAME_INCHES + _BAR_INCHES * len(shown)), dpi=150, layout=layout)
    FigureCanvasAgg(figure)
    hidden = len(cuts) - len(shown)
    axes = figure.subplots()
    axes.set_title(title, fontsize=13, color=_INK, pad=32)
    axes.set_xlabel(note + (f"; {hidden} slower cuts left out" if hidden else ""), color=_INK, labelpad=8)
    _bars(axes, shown)
    _finish(axes, shown)
    figure.savefig(path)


def _bars(axes: Any, cuts: Sequence[PlannedCut]) -> None:
    starts = [0.0] * len(cuts)
    for name in cuts[0].parts:
        widths = [each.parts[name] for each in cuts]
        axes.barh(range(len(cuts)), widths, left=starts, height=0.68, color=_COLORS[name], label=name)
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    room = 0.008 * max(starts)
    for place, (each, end) in enumerate(zip(cuts, starts, strict=True)):
        # White behind it, since lines of the grid pass there.
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(end + room, place, _caption(each), va="center", fontsize=9, color=_INK, bbox=behind)
    # Room for the captions behind the longest bar.
    axes.set_xlim(0, 1.36 * max(starts))


def _caption(cut: PlannedCut) -> str:
    time, up, down = (
        _short(*each) for each in ((cut.seconds, "s"), (cut.bytes_up, "B"), (cut.bytes_down, "B"))
    )
    return f"{time}   ↑ {up}  ↓ {down}"


def _short(value: float, unit: str) -> str:
    """Three digits and a prefix."""
    return str(EngFormatter(unit)(float(f"{value:.3g}")))


def _finish(axes: Any, cuts: Sequence[PlannedCut]) -> None:
    axes.set_yticks(range(len(cuts)), [each.name for each in cuts])
    axes.set_ylim(len(cuts) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(EngFormatter("s"))
    # In the line between the title and the bars.
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 0.99), "ncols": len(cuts[0].parts)}
    axes.legend(frameon=False, labelcolor=_INK, handlelength=1.2, columnspacing=1.6, **place)
    axes.tick_params(colors=_INK, length=0)
    axes.grid(axis="x", color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(_GRID)
