"""What a user sees while the turn is another's."""

from __future__ import annotations

import sys
from collections.abc import Callable

from keras_split.owners import Waiting

_WIDTH = 100


def display(verbose: str | int) -> Callable[[Waiting], None]:
    """Shows whose turn it is: in one line that changes, or a line for each change in a log file.

    Args:
        verbose: As in `fit`.
    """
    if verbose == 0:
        return lambda waiting: None
    shown: list[tuple[str, bool, int]] = []

    def show(waiting: Waiting) -> None:
        what = (waiting.member, waiting.trains, waiting.ahead)
        if sys.stdout.isatty():
            sys.stdout.write(f"\r{str(waiting)[:_WIDTH]:{_WIDTH}}\r")
            sys.stdout.flush()
        elif shown[-1:] != [what]:
            print(waiting, flush=True)
        shown[:] = [what]

    return show
