"""From a model and conditions to its cuts, the fastest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
from keras import tree

from keras_split.partition import partition
from keras_split.partition.costs import flops_per_operation
from keras_split.partition.cuts import cut_is_legal, legal_cut_names
from keras_split.planning.conditions import Conditions
from keras_split.planning.exchange import trace_exchanges
from keras_split.planning.planned import PlannedCut, planned
from keras_split.planning.plot import draw
from keras_split.planning.step import Forward, stages
from keras_split.planning.table import to_text
from keras_split.planning.targets import Targets, read_targets


@dataclass(frozen=True)
class Plan:
    """Predicted steps of a model under given conditions.

    Args:
        model: Its name.
        conditions: That the times hold for.
        cuts: The fastest first.
        second_cut: Behind which the client's part begins again; empty where labels are shared.
    """

    model: str
    conditions: Conditions
    cuts: tuple[PlannedCut, ...]
    second_cut: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What is planned."""
        return (
            f"{self.model}, labels kept behind {' + '.join(self.second_cut)}"
            if self.second_cut
            else self.model
        )

    @property
    def best(self) -> PlannedCut:
        """The fastest; it need not be the one that shows the server least."""
        return self.cuts[0]

    def draw(self, path: str | Path, most: int = 20) -> None:
        """Draws a bar for each cut, made of its parts.

        Args:
            path: Of the picture; its ending says which kind (`.png`, `.svg`, `.pdf`).
            most: Bars; slower cuts are left out, and the picture says how many.
        """
        draw(f"{self.title}: predicted time of a step", str(self.conditions), self.cuts, Path(path), most)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, in plain units."""
        return {
            "model": self.model,
            "second_cut": list(self.second_cut),
            "conditions": asdict(self.conditions),
            "cuts": [each.to_dict() for each in self.cuts],
        }

    def __str__(self) -> str:
        return f"{self.title}, {self.conditions}\n\n{to_text(self.cuts)}"


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
    _check_sizes(model, batch_size)
    targets = read_targets(model, batch_size, labels, sample_weight)
    second = (second_cut,) if isinstance(second_cut, str) else tuple(second_cut or ())
    names = _legal_names(model, second) if cuts is None else cuts
    known: dict[int, int] = {}
    found = [_predict(model, name, second, targets, conditions, known) for name in names]
    return Plan(model.name, conditions, tuple(sorted(found, key=lambda each: each.seconds)), second)


def _legal_names(model: keras.Model, second: tuple[str, ...]) -> list[str]:
    names = [name for name in legal_cut_names(model) if cut_is_legal(model, (name,), second)]
    if not names and second:
        raise ValueError(
            "No cut by a single name is legal in front of this second cut; "
            "`keras_split.list_cuts(model, after=cut)` lists the second cuts behind a cut. "
            f"Received: second_cut={list(second)!r}."
        )
    if not names:
        raise ValueError("The model has no legal cut: at each layer a raw input would leave.")
    return names


def _predict(
    model: keras.Model,
    cut: str | Sequence[str],
    second_cut: tuple[str, ...],
    targets: Targets,
    conditions: Conditions,
    known: dict[int, int],
) -> PlannedCut:
    parts = partition(model, cut, second_cut)
    exchanges = trace_exchanges(parts, targets, conditions.batch_size)
    sections = (parts.sections.head, parts.sections.body, parts.sections.tail)
    forward = Forward(*(conditions.batch_size * flops_per_operation(each, known) for each in sections))
    return planned(parts.cut, stages(parts, exchanges, forward), conditions)


def _check_sizes(model: keras.Model, batch_size: int) -> None:
    graph = getattr(model, "_functional", None) or model
    # What is no graph is refused where it is cut, with more to say.
    for tensor in tree.flatten(getattr(graph, "_inputs_struct", [])):
        rows, *sizes = tensor.shape
        if None in sizes:
            raise ValueError(
                f"A dimension of the input {tensor.name!r} may vary, and bytes and operations with it. For "
                "the plan, build the model with an input of a typical size. "
                f"Received: shape {tuple(tensor.shape)}."
            )
        if rows not in (None, batch_size):
            raise ValueError(
                f"The input {tensor.name!r} takes batches of {rows} only. Received: batch_size={batch_size}."
            )
