"""Bytes of a training step on the wire, against the tensors' own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.comparisons import LENET, WIRE_BAR
from benchmarks.processes import Job, TrainingProcess

_STEPS = 50


def measure_wire(batch: int) -> dict[str, Any]:
    """Bytes per step at LeNet's cut, up and down, as serialised and on the socket.

    `overhead` is what is beyond the tensors' own bytes, as a share of them. Connecting and
    compiling are not in it; beginning and ending the turn are, spread over the steps.
    """
    comparison = replace(LENET, batch=batch, steps=_STEPS)
    with TrainingProcess(Job.of(comparison, comparison.candidate, counts=True)) as split:
        split.ask("train")  # The connection has been made and used.
        counted = split.ask("traffic")
    per_step = {kind: {way: count / _STEPS for way, count in ways.items()} for kind, ways in counted.items()}
    overhead = {kind: _overhead(per_step["tensors"], per_step[kind]) for kind in ("metered", "socket")}
    return {
        "batch": batch,
        "bytes_per_step": per_step,
        "overhead": overhead,
        "bar": WIRE_BAR,
        "meets_bar": overhead["socket"]["both"] <= WIRE_BAR,
    }


def _overhead(tensors: dict[str, float], sent: dict[str, float]) -> dict[str, float]:
    shares = {way: sent[way] / tensors[way] - 1 for way in tensors}
    return {**shares, "both": sum(sent.values()) / sum(tensors.values()) - 1}
