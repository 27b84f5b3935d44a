"""From a model and conditions to a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_split.partition import partition
from keras_split.partition.costs import Flops
from keras_split.partition.cuts import cut_is_legal, legal_cut_names, why_no_cut
from keras_split.planning.conditions import Conditions
from keras_split.planning.exchange import trace_exchanges
from keras_split.planning.planned import PlannedCut, planned
from keras_split.planning.ranking import Plan
from keras_split.planning.sizes import check_sizes
from keras_split.planning.step import Forward, stages
from keras_split.planning.targets import Targets, read_targets


def plan(
    model: keras.Model,
    *,
    bandwidth_mbps: float,
    rtt_ms: float,
    client_gflops: float,
    server_gflops: float,
    batch_size: int = 32,
    labels: Any = None,
    sample_weight: Any = None,
    cuts: Sequence[str | Sequence[str]] | None = None,
    second_cut: str | Sequence[str] | None = None,
) -> Plan:
    """Predicts a training step for each legal cut, without training.

    Bytes are those of the tensors that a step exchanges, exactly. Operations of a forward pass are
    counted by TensorFlow's profiler, and a backward pass is taken for twice that. Times follow from
    these by division, as if nothing overlapped and nothing else took time: they compare cuts.

    Args:
        model: Built functional or Sequential model, compiled, inputs of one size.
        bandwidth_mbps: Of the line, in each direction, in 10^6 bits per second.
        rtt_ms: Round trip of the line in milliseconds.
        client_gflops: What the client's machine reaches, in 10^9 operations per second.
        server_gflops: Likewise the server's.
        batch_size: Samples in a step.
        labels: As `fit` gets them, or anything nested likewise with shapes `(samples, ...)` and dtypes.
            By default int64 class indices for sparse losses, and floats of the outputs' shapes for others.
        sample_weight: Likewise. By default none travel.
        cuts: Which to compare; all legal ones by default. Each takes as long as to trace a server's step.
        second_cut: As for `SplitModel`: the step in which labels stay with the client, in two round
            trips. The same for all cuts; by default those in front of which it is legal.

    Raises:
        ValueError: A model, labels or conditions that no step can be predicted from, or no legal cut.

    Example:

    >>> plan = keras_split.plan(model, bandwidth_mbps=100, rtt_ms=20, client_gflops=50, server_gflops=5000)
    >>> print(plan)
    >>> split = keras_split.SplitModel(model, cut=plan.best.cut)
    """
    conditions = Conditions(bandwidth_mbps, rtt_ms, client_gflops, server_gflops, batch_size)
    check_sizes(model, batch_size)
    targets = read_targets(model, batch_size, labels, sample_weight)
    second = (second_cut,) if isinstance(second_cut, str) else tuple(second_cut or ())
    names = _legal_names(model, second) if cuts is None else _checked(cuts)
    flops = Flops(model)
    found = [_predict(model, name, second, targets, conditions, flops) for name in names]
    return Plan(model.name, conditions, tuple(sorted(found, key=lambda each: each.seconds)), second)


def _legal_names(model: keras.Model, second: tuple[str, ...]) -> list[str]:
    names = [name for name in legal_cut_names(model) if cut_is_legal(model, (name,), second)]
    if not names and second:
        raise ValueError(
            "No cut by a single name is legal in front of this second cut, or there is no such layer; "
            "`keras_split.list_cuts(model, after=cut)` lists the second cuts behind a cut. "
            f"Received: second_cut={list(second)!r}."
        )
    if not names:
        raise ValueError(why_no_cut(model))
    return names


def _checked(cuts: Sequence[str | Sequence[str]]) -> Sequence[str | Sequence[str]]:
    if isinstance(cuts, str) or not cuts:
        raise ValueError(
            "`cuts` is a list of cuts to compare, each a name or a list of names; leave it out for all legal "
            f"ones. Received: cuts={cuts!r}."
        )
    return cuts


def _predict(
    model: keras.Model,
    cut: str | Sequence[str],
    second_cut: tuple[str, ...],
    targets: Targets,
    conditions: Conditions,
    flops: Flops,
) -> PlannedCut:
    parts = partition(model, cut, second_cut)
    exchanges = trace_exchanges(parts, targets, conditions.batch_size)
    sections = (parts.sections.head, parts.sections.body, parts.sections.tail)
    forward = Forward(*(conditions.batch_size * flops.of(each) for each in sections))
    return planned(parts.cut, stages(parts, exchanges, forward), conditions)
