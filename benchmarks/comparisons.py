"""What is compared, and the bars that a split model should reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple


class Way(NamedTuple):
    """A way to train a model.

    Args:
        name: For tables.
        cut: Layer behind which the server's part begins; empty for the whole model in one process.
        second_cut: Layer behind which it ends; empty where labels are shared.
    """

    name: str
    cut: str = ""
    second_cut: str = ""


WHOLE = Way("whole")


@dataclass(frozen=True)
class Comparison:
    """A model trained in two ways: whole and split, or split with and without sharing labels.

    Args:
        model: Function in `keras_split.zoo`.
        cut: Layer behind which the server's part begins.
        batch: Samples per step.
        shape: Of one sample.
        steps: Steps of one measured run, a multiple of `steps_per_execution`.
        steps_per_execution: As in `compile`, the same for both.
        pinned: Each process on one core; otherwise each on any.
        bar: The ratio of samples per second, candidate over reference, that the best round should
            reach.
        second_cut: If there is one, label-free training is compared with sharing labels.
    """

    model: str
    cut: str
    batch: int
    shape: tuple[int, int, int]
    steps: int
    steps_per_execution: int = 1
    pinned: bool = True
    bar: float | None = None
    second_cut: str = ""

    @property
    def reference(self) -> Way:
        """What is known."""
        return Way("label sharing", self.cut) if self.second_cut else WHOLE

    @property
    def candidate(self) -> Way:
        """What is measured against it."""
        if self.second_cut:
            return Way("label-free", self.cut, self.second_cut)
        return Way("split", self.cut)

    def __str__(self) -> str:
        each = "step" if self.steps_per_execution == 1 else "steps"
        where = "one core each" if self.pinned else "unpinned"
        cuts = f"{self.cut} and {self.second_cut}, label-free" if self.second_cut else self.cut
        return (
            f"{self.model} cut at {cuts}, batch {self.batch}, "
            f"{self.steps_per_execution} {each} per execution, {where}"
        )


LENET = Comparison("lenet", "pool2", 64, (28, 28, 1), 200)
VGG = Comparison("vgg", "pool2", 32, (32, 32, 3), 20)
VGG_EARLY = replace(VGG, cut="pool1")

LENET_LABEL_FREE = replace(LENET, second_cut="dense_1")
VGG_LABEL_FREE = replace(VGG, second_cut="fc1")

# The bars of samples per second hold for one core each.
_BARS = {
    (LENET, 1): 0.80,
    (LENET, 10): 0.60,
    (VGG, 1): 0.95,
    (VGG, 10): 0.95,
    (VGG_LABEL_FREE, 1): 0.90,
    (VGG_LABEL_FREE, 10): 0.90,
}

# Bytes on the wire over the tensors' own, for batches of 32 and more at LeNet's cut.
WIRE_BAR = 0.01
WIRE_BATCHES = (32, 64)


def comparisons() -> list[Comparison]:
    """All of them: one core each, then unpinned, then label-free."""
    models = (LENET, VGG, VGG_EARLY)
    unpinned = [replace(each, pinned=False) for each in models]
    return [
        replace(base, steps_per_execution=steps, bar=_BARS.get((base, steps)))
        for base in (*models, *unpinned, LENET_LABEL_FREE, VGG_LABEL_FREE)
        for steps in (1, 10)
    ]


def quick(comparison: Comparison) -> Comparison:
    """The same with so few steps that it tells only whether the benchmark runs."""
    return replace(comparison, steps=10, bar=None)
