"""What is compared, and the bars that a split model should reach."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Comparison:
    """A model trained whole beside the same model trained split.

    Args:
        model: Function in `keras_split.zoo`.
        cut: Layer behind which the server's part begins.
        batch: Samples per step.
        shape: Of one sample.
        steps: Steps of one measured run, a multiple of `steps_per_execution`.
        steps_per_execution: As in `compile`, the same for both.
        pinned: Each process on one core; otherwise each on any.
        bar: The ratio of samples per second, split over whole, that the best round should reach.
    """

    model: str
    cut: str
    batch: int
    shape: tuple[int, int, int]
    steps: int
    steps_per_execution: int = 1
    pinned: bool = True
    bar: float | None = None

    def __str__(self) -> str:
        each = "step" if self.steps_per_execution == 1 else "steps"
        where = "one core each" if self.pinned else "unpinned"
        return (
            f"{self.model} cut at {self.cut}, batch {self.batch}, "
            f"{self.steps_per_execution} {each} per execution, {where}"
        )


LENET = Comparison("lenet", "pool2", 64, (28, 28, 1), 200)
VGG = Comparison("vgg", "pool2", 32, (32, 32, 3), 20)
VGG_EARLY = replace(VGG, cut="pool1")

# The bars of samples per second hold for one core each.
_BARS = {(LENET, 1): 0.80, (LENET, 10): 0.60, (VGG, 1): 0.95, (VGG, 10): 0.95}

# Bytes on the wire over the tensors' own, for batches of 32 and more at LeNet's cut.
WIRE_BAR = 0.01
WIRE_BATCHES = (32, 64)


def comparisons() -> list[Comparison]:
    """All of them, those with bars first."""
    return [
        replace(
            base,
            steps_per_execution=steps,
            pinned=pinned,
            bar=_BARS.get((base, steps)) if pinned else None,
        )
        for pinned in (True, False)
        for base in (LENET, VGG, VGG_EARLY)
        for steps in (1, 10)
    ]


def quick(comparison: Comparison) -> Comparison:
    """The same with so few steps that it tells only whether the benchmark runs."""
    return replace(comparison, steps=10, bar=None)
