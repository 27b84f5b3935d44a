"""The outcome of several data owners in numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_split.demo.several.board import Seat
from keras_split.demo.several.chain import Handed, handed
from keras_split.demo.several.run import Several

Count = Callable[[Seat, Handed], float]

_COUNTS: tuple[tuple[str, str, Count], ...] = (
    ("Rows of its own", "count", lambda seat, own: seat.rows),
    ("Turns", "count", lambda seat, own: own.turns),
    ("Steps", "count", lambda seat, own: own.steps),
    ("Bytes up, to the server", "bytes", lambda seat, own: seat.sent),
    ("Bytes down", "bytes", lambda seat, own: seat.received),
    ("Seconds waited", "seconds", lambda seat, own: seat.waited_seconds),
    ("Full states handed over", "count", lambda seat, own: len(own.full)),
    ("   their bytes", "bytes", lambda seat, own: sum(own.full)),
    ("Deltas handed over", "count", lambda seat, own: len(own.delta)),
    ("   their bytes", "bytes", lambda seat, own: sum(own.delta)),
)


def counts(outcome: Several) -> list[tuple[str, str, list[float]]]:
    """What each data owner did: a name, a unit (count, bytes, seconds), and a number for each."""
    seats = list(outcome.board.seats.values())
    pairs = [(seat, handed(outcome.links, seat.name)) for seat in seats]
    return [(name, unit, [count(*pair) for pair in pairs]) for name, unit, count in _COUNTS]


def scores(outcome: Several) -> list[tuple[str, str, float, float]]:
    """Of the common model, and of one machine's: a name, a unit (share, number), and both values."""
    ours, theirs = outcome.last_scores, outcome.alone.scores[-1]
    return [
        ("Test accuracy", "share", ours["test_accuracy"], theirs["test_accuracy"]),
        ("Test loss", "number", ours["test_loss"], theirs["test_loss"]),
        ("Training loss, last turn", "number", ours["loss"], theirs["loss"]),
    ]


def to_json(outcome: Several) -> dict[str, Any]:
    """Everything, JSON-ready, in plain units."""
    plan = outcome.plan
    return {
        "title": outcome.title,
        "dataset": plan.dataset,
        "cut": plan.cut,
        "second_cut": plan.second_cut,
        "clients": list(outcome.board.seats),
        "handover": outcome.handover,
        "epochs": plan.recipe.epochs,
        "batch_size": plan.recipe.batch_size,
        "seed": plan.seed,
        "largest_weight_difference": outcome.weight_difference,
        "processes": outcome.processes,
        "scores": {name: {"owners": one, "one machine": other} for name, _, one, other in scores(outcome)},
        "each": {
            name: {key: values[at] for key, values in _unique(outcome).items()}
            for at, name in enumerate(outcome.board.seats)
        },
        "turns": [vars(turn) for turn in outcome.turns],
        "one_machine": outcome.alone.scores,
    }


def _unique(outcome: Several) -> dict[str, list[float]]:
    found, before = {}, ""
    for name, _, values in counts(outcome):
        found[f"{before}, bytes" if name.startswith(" ") else name] = values
        before = name
    return found
