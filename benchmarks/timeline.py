"""From the marks of steps to the parts of a typical step.

Between `entered` and `left` the parts lie end to end, so they add up to the exchange; the two exchanges
of a label-free step are added up. Between them the client has its tail, loss and gradients included.
What else it does outside is one block of a compiled graph; its head's forward, backward and update were
timed by themselves, and what they leave of the block is the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Part of the exchange: the marks that bound it.
_PARTS = {
    "encode on client": ("client entered", "client sent"),
    "wire up": ("client sent", "server received"),
    "decode on server": ("server received", "server decoded"),
    "hand-over on server": ("server decoded", "server started"),
    "server step": ("server started", "server computed"),
    "encode on server": ("server computed", "server sent"),
    "wire down": ("server sent", "client received"),
    "decode on client": ("client received", "client left"),
}
# The table's shorter list.
_SUMS = {
    "encode": ("encode on client", "encode on server"),
    "wire": ("wire up", "wire down"),
    "hand-over on server": ("hand-over on server",),
    "server step": ("server step",),
    "decode": ("decode on server", "decode on client"),
}


def break_down(marks: dict[str, np.ndarray], alone: dict[str, float], exchanges: int) -> dict[str, Any]:
    """Parts of a step in seconds, means over its typical steps.

    Args:
        marks: Of `ClientRecorder.since`, `(steps * exchanges,)` each.
        alone: `forward`, `backward` and `update` of the head, timed by themselves.
        exchanges: Of each step.

    Returns:
        `parts`, which add up to `typical_step`, and `detail`, which has what overlaps as well.
    """
    marks = {name: each.reshape(-1, exchanges) for name, each in marks.items()}
    entered, left = marks["client entered"], marks["client left"]
    # From the end of one step's last exchange to the end of the next's; the first has no predecessor.
    whole = np.diff(left[:, -1])
    outside = entered[1:, 0] - left[:-1, -1]
    typical = _typical(whole)
    detail = {name: _mean(marks[end] - marks[begin], typical) for name, (begin, end) in _PARTS.items()}
    block = float(outside[typical].mean())
    parts = {"client forward": alone["forward"]}
    parts |= {name: sum(detail[each] for each in names) for name, names in _SUMS.items()}
    if exchanges > 1:
        parts["tail on client"] = _mean(entered[:, 1:] - left[:, :-1], typical)
    parts |= {"client backward": alone["backward"], "update": alone["update"]}
    parts["rest"] = block - sum(alone.values())
    detail |= _overlapping(marks, typical)
    return {
        "typical_step": float(whole[typical].mean()),
        "parts": parts,
        "detail": {**detail, "client outside the exchanges": block},
    }


def _typical(durations: np.ndarray) -> np.ndarray:
    """The middle half: executions' ends and hiccups of the machine stay out."""
    low, high = np.quantile(durations, [0.25, 0.75])
    return (durations >= low) & (durations <= high)


def _mean(durations: np.ndarray, typical: np.ndarray) -> float:
    return float(durations[1:].sum(axis=1)[typical].mean())


def _overlapping(marks: dict[str, np.ndarray], typical: np.ndarray) -> dict[str, float]:
    """What runs beside something else: the server's update, and its wait for the one before."""
    # Only a step's last exchange has an update.
    update = marks["server update_ended"] - marks["server update_began"]
    waits = marks["server update_ended"][:-1, -1] - marks["server decoded"][1:, 0]
    return {
        "server update, beside the client": _mean(update[:, -1:], typical),
        "wait for the update before": float(np.maximum(waits, 0.0)[typical].mean()),
        "pack on client": _mean(marks["client packed"] - marks["client entered"], typical),
    }
