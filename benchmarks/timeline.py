"""From the marks of steps to the parts of a typical step.

Between `entered` and `left` the parts lie end to end, so they add up to the exchange. What the
client does outside it is one block of a compiled graph; its forward, backward and update were timed
by themselves, and what they leave of the block is the rest.
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


def break_down(marks: dict[str, np.ndarray], alone: dict[str, float]) -> dict[str, Any]:
    """Parts of a step in seconds, means over its typical steps.

    Args:
        marks: Of `ClientRecorder.since`, `(steps,)` each.
        alone: `forward`, `backward` and `update` of the head, timed by themselves.

    Returns:
        `parts`, which add up to `typical_step`, and `detail`, which has what overlaps as well.
    """
    # From the end of one exchange to the end of the next; the first has no predecessor.
    whole = np.diff(marks["client left"])
    outside = marks["client entered"][1:] - marks["client left"][:-1]
    typical = _typical(whole)
    detail = {name: _mean(marks[end] - marks[begin], typical) for name, (begin, end) in _PARTS.items()}
    block = float(outside[typical].mean())
    parts = {"client forward": alone["forward"]}
    parts |= {name: sum(detail[each] for each in names) for name, names in _SUMS.items()}
    parts |= {"client backward": alone["backward"], "update": alone["update"]}
    parts["rest"] = block - sum(alone.values())
    detail |= _overlapping(marks, typical)
    return {
        "typical_step": float(whole[typical].mean()),
        "parts": parts,
        "detail": {**detail, "client outside the exchange": block},
    }


def _typical(durations: np.ndarray) -> np.ndarray:
    """The middle half: executions' ends and hiccups of the machine stay out."""
    low, high = np.quantile(durations, [0.25, 0.75])
    return (durations >= low) & (durations <= high)


def _mean(durations: np.ndarray, typical: np.ndarray) -> float:
    return float(durations[1:][typical].mean())


def _overlapping(marks: dict[str, np.ndarray], typical: np.ndarray) -> dict[str, float]:
    """What runs beside something else: the server's update, and its wait for the one before."""
    update = marks["server update_ended"] - marks["server update_began"]
    waits = marks["server update_ended"][:-1] - marks["server decoded"][1:]
    return {
        "server update, beside the client": _mean(update, typical),
        "wait for the update before": float(np.maximum(waits, 0.0)[typical].mean()),
        "pack on client": _mean(marks["client packed"] - marks["client entered"], typical),
    }
