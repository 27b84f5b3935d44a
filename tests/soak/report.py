"""What a soak says at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from soak.trial import Outcome


def line(outcome: Outcome) -> str:
    """Of one run."""
    word = "equal" if outcome.is_equal else "NOT EQUAL"
    killed = sum(len(each.names) for each in outcome.kills)
    return f"{word}: {killed} kills in {outcome.seconds:.0f} s, {outcome.plan}. {outcome.verdict}"


def values(seed: int, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All numbers, JSON-ready."""
    return {
        "seed": seed,
        "is_equal": all(each.is_equal for each in outcomes),
        "killed": _killed(outcomes),
        "disturbances": dict(sum((each.weather for each in outcomes), Counter())),
        "ended_with_an_error": dict(sum((Counter(each.errors) for each in outcomes), Counter())),
        "recovery_seconds": {role: _spread(each) for role, each in _recoveries(outcomes).items()},
        # As a dict, since `asdict` counts a Counter's items.
        "runs": [asdict(replace(each, weather=dict(each.weather))) for each in outcomes],
    }


def text(seed: int, outcomes: Sequence[Outcome]) -> str:
    """A table."""
    found = values(seed, outcomes)
    total = sum(found["killed"].values())
    rows = [f"{total} processes killed in {len(outcomes)} runs (seed {seed})", ""]
    rows.append(f"{'killed':<10}{'count':>7}{'median s':>11}{'p99 s':>9}{'longest s':>11}")
    for role, spread in found["recovery_seconds"].items():
        times = f"{spread['median']:>11.2f}{spread['p99']:>9.2f}{spread['longest']:>11.2f}"
        rows.append(f"{role:<10}{spread['count']:>7}{times}")
    told = ", ".join(f"{count} × {kind}" for kind, count in sorted(found["disturbances"].items()))
    rows += ["", "Seconds are those from the kill to the next commit that lasts."]
    rows.append(f"Disturbances: {told or 'none'}.")
    rows.append("Every run ended as an undisturbed one, bit for bit." if found["is_equal"] else "NOT EQUAL.")
    return "\n".join(rows)


def _role(name: str) -> str:
    return name if name in ("server", "store") else "owner"


def _killed(outcomes: Sequence[Outcome]) -> dict[str, int]:
    return dict(Counter(_role(name) for each in outcomes for kill in each.kills for name in kill.names))


def _recoveries(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """Seconds, by who was killed: one role, or several at one instant, and all together."""
    found: dict[str, list[float]] = {}
    for kill in (kill for each in outcomes for kill in each.kills):
        role = _role(kill.names[0]) if len(kill.names) == 1 else "several"
        for name in (role, "all"):
            found.setdefault(name, []).append(kill.recovery_seconds)
    return dict(sorted(found.items(), key=lambda item: (item[0] == "all", item[0])))


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    median, p99 = (float(np.percentile(seconds, each)) for each in (50, 99))
    return {"count": len(seconds), "median": median, "p99": p99, "longest": max(seconds)}
