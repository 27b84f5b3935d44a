"""The board in the terminal: redrawn in its place, or a line for each turn in a log file."""

from __future__ import annotations

import sys
import time

import click

from keras_split.demo.several.board import Board, Seat, Span

# Apart for most eyes, in 256 colours; the picture has the same ones.
COLOURS = (25, 173, 71, 139, 179, 37, 131, 68, 107, 245)
_BAR = 30
_REDRAW_SECONDS = 0.1


class View:
    """Shows a board.

    Args:
        live: Whether lines can be written over.
    """

    def __init__(self, live: bool | None = None):
        self._live = sys.stdout.isatty() if live is None else live
        self._lines = 0
        self._drawn = 0.0
        self._told = 0

    def show(self, board: Board) -> None:
        """Called after each change."""
        if self._live:
            self._draw(board)
        else:
            self._tell(board)

    def _draw(self, board: Board) -> None:
        now = time.monotonic()
        if now - self._drawn < _REDRAW_SECONDS and not (board.is_done or not self._lines):
            return
        lines = drawn(board)
        back = f"\x1b[{self._lines}A" if self._lines else ""
        sys.stdout.write(back + "".join(f"\x1b[2K{line}\n" for line in lines))
        sys.stdout.flush()
        self._lines, self._drawn = len(lines), now

    def _tell(self, board: Board) -> None:
        ended = [turn for turn in board.turns if turn.ends is not None]
        for turn in ended[self._told :]:
            click.echo(told(board, turn))
        self._told = len(ended)


def drawn(board: Board) -> list[str]:
    """A line for each data owner, and one for all turns."""
    colours = dict(zip(board.seats, COLOURS, strict=False))
    width = max(map(len, board.seats))
    lines = ["", *(_seat(board, seat, colours[seat.name], width) for seat in board.seats.values()), ""]
    return [*lines, _strip(board, colours)]


def told(board: Board, turn: Span) -> str:
    """A turn that has ended, in one line."""
    scores, width = turn.scores, max(map(len, board.seats))
    return (
        f"Turn {turn.number:3}  {turn.member.ljust(width)}  epoch {turn.epoch + 1}/{board.epochs}  "
        f"loss {scores['loss']:.4f}  accuracy {scores['accuracy']:6.1%}  test accuracy "
        f"{scores['test_accuracy']:6.1%}"
    ).replace("%", " %")


def _seat(board: Board, seat: Seat, colour: int, width: int) -> str:
    name = click.style(seat.name.ljust(width), fg=colour, bold=seat.state not in ("waits", "done"))
    epoch = f"epoch {min(seat.epoch + 1, board.epochs)}/{board.epochs}"
    return f"  {name}  {seat.state.ljust(10)}  {epoch}  {_doing(board, seat, colour)}"


def _doing(board: Board, seat: Seat, colour: int) -> str:
    if not seat.rows:
        return click.style("starts its process", dim=True)
    if seat.state == "waits":
        return click.style(_wait(seat), dim=True)
    if seat.state == "done":
        return click.style(f"{seat.rows:,} rows of its own, none of them sent", dim=True)
    full = round(_BAR * seat.steps / seat.batches)
    bar = click.style("━" * full, fg=colour) + click.style("━" * (_BAR - full), fg=238)
    count = f"{bar} {seat.steps:3}/{seat.batches}"
    percent = f"{seat.accuracy:6.1%}".replace("%", " %")
    return f"{count}  loss {seat.loss:.4f}  accuracy {percent}" if seat.steps else count


def _wait(seat: Seat) -> str:
    if not seat.member:
        return f"{seat.rows:,} rows of its own"
    if seat.ahead > 1:
        return f"{seat.ahead} turns before its own; {seat.member} trains"
    return f"next, after {seat.member}"


def _strip(board: Board, colours: dict[str, int]) -> str:
    blocks = "".join(click.style("■", fg=colours[turn.member]) for turn in board.turns)
    rest = click.style("·" * (board.all_turns - len(board.turns)), dim=True)
    tested = [turn.scores["test_accuracy"] for turn in board.turns if "test_accuracy" in turn.scores]
    score = f"   test accuracy {tested[-1]:.1%}".replace("%", " %") if tested else ""
    return f"  turn {len(board.turns)} of {board.all_turns}  {blocks}{rest}{score}"
