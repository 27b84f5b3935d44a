"""The outcome in numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras_split.demo.run import Outcome


class Row(NamedTuple):
    """A line of the table; None stands for what has no meaning on a side."""

    name: str
    whole: float | None
    split: float | None
    unit: str


def rows(outcome: Outcome) -> list[Row]:
    """What to show side by side, in the order to show it in."""
    whole, split, cut = outcome.whole, outcome.split, outcome.cut
    return [
        Row("Test accuracy", _last(whole.history), _last(split.history), "share"),
        Row("Training loss", whole.history["loss"][-1], split.history["loss"][-1], "number"),
        Row(
            "Time per step, one core each",
            whole.seconds_per_step,
            split.seconds_per_step,
            "seconds",
        ),
        Row("Client's share of parameters", 1.0, cut.parameter_share, "share"),
        Row("Client's share of FLOPs", 1.0, cut.flops_share, "share"),
        Row("Bytes up per sample", None, _per_sample(outcome, "bytes_sent"), "bytes"),
        Row("Bytes down per sample", None, _per_sample(outcome, "bytes_received"), "bytes"),
    ]


def to_json(outcome: Outcome) -> dict[str, Any]:
    """Everything, JSON-ready, in plain units."""
    plan, recipe = outcome.plan, outcome.plan.recipe
    return {
        "title": outcome.title,
        "dataset": plan.dataset,
        "model": recipe.model,
        "cut": plan.cut,
        "second_cut": plan.second_cut,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "seed": plan.seed,
        "largest_weight_difference": outcome.weight_difference,
        "table": [row._asdict() for row in rows(outcome)],
        "history": {"whole": outcome.whole.history, "split": outcome.split.history},
    }


def _last(history: dict[str, list[float]]) -> float:
    return history["test_accuracy"][-1]


def _per_sample(outcome: Outcome, name: str) -> float:
    """Of the last epoch: the first one also prepares the exchange."""
    return outcome.split.history[name][-1] / len(outcome.data.x_train)
