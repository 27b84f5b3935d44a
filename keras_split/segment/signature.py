"""What goes into a traced function and what comes out, before there are values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from keras_split.segment.names import Sight
from keras_split.segment.rows import share_rows
from keras_split.segment.shadow import Shadow

Shape = tuple[int | None, ...] | None


@dataclass(frozen=True)
class Input:
    """A tensor that the caller sends.

    Args:
        role: `"smashed"`, `"logits"`, `"label"` or `"sample_weight"`.
        shape: As the caller's own trace knows it, None where a size may vary. The trace here must know
            neither more nor less: TensorFlow divides by a constant batch size in another way than by
            a variable one, and the last bit shows it.
        dtype: NumPy name.
        index: Of logits, the place of the frontier tensor that they belong to.
        name: Of the operation that made it there.
        tie: Equal, and not 0, for tensors that are known to have equally many rows there.
    """

    role: str
    shape: Shape
    dtype: str
    index: int = 0
    name: str = ""
    tie: int = 0

    @property
    def spec(self) -> tf.TensorSpec:
        """For `tf.function`."""
        return tf.TensorSpec(self.shape, self.dtype)


@dataclass(frozen=True)
class Output:
    """A tensor that the caller gets.

    Args:
        role: `"output"`, `"logits"`, `"mask"`, `"loss_term"`, `"cut_gradient"`, or one of `MEASURES`.
        shape: As traced.
        dtype: NumPy name.
        index: Which output or frontier tensor it belongs to.
        rank: Of a loss term, its place in the whole model's sum.
        name: Of the operation that made it.
        tie: As of an `Input`, in the caller's numbers.
    """

    role: str
    shape: Shape
    dtype: str
    index: int = 0
    rank: tuple[int, ...] = ()
    name: str = ""
    tie: int = 0

    @classmethod
    def of(cls, role: str, tensor: Any, index: int = 0, rank: tuple[int, ...] = ()) -> Output:
        """Describes a symbolic tensor."""
        dims = tensor.shape.rank
        shape = None if dims is None else tuple(tensor.shape)
        return cls(role, shape, tensor.dtype.name, index, rank)


@dataclass(frozen=True)
class Signature:
    """The inputs of an exchange.

    Args:
        inputs: In the order in which they are sent: frontier, logits of such frontier tensors as are
            outputs of the model, labels, sample weights.
        labels: From the flat labels to the nest that the loss expects.
        sample_weight: Likewise, possibly to None.
        wants_cut_gradients: Whether anything in front of the cut is trained.
        graded: In label-free steps, for each gradient that the caller will send the place of its output. A
            loss need not depend on every output, and no gradient is not a gradient of zeros; of one with
            several readers there are several.
        shadow: In label-free steps, the caller's operations behind the outputs.
    """

    inputs: tuple[Input, ...]
    labels: Callable[[list[Any]], Any] = lambda flat: flat[0] if flat else None
    sample_weight: Callable[[list[Any]], Any] = lambda flat: flat[0] if flat else None
    wants_cut_gradients: bool = True
    graded: tuple[int, ...] = ()
    shadow: Shadow = Shadow()

    def shared(self, smashed: list[Any]) -> list[Any]:
        """The smashed tensors with the names and the ties that they have at the caller."""
        known = [each for role in ("smashed", "logits") for each in self.inputs if each.role == role]
        return share_rows(smashed, [each.name for each in known], [each.tie for each in known])

    def seen(self, smashed: list[Any], outputs: list[Output], tensors: list[Any]) -> list[Output]:
        """The outputs with their names, and with the ties of the smashed tensors that they go with.

        Args:
            smashed: As `shared` returns them.
            outputs: Of a reply.
            tensors: These outputs in the graph.
        """
        known = [each.tie for role in ("smashed", "logits") for each in self.inputs if each.role == role]
        sight = Sight([*smashed, *tensors])
        ties = {sight.rows(each): tie for each, tie in zip(smashed, known, strict=True)}
        return [
            replace(each, name=sight.name(tensor), tie=ties.get(sight.rows(tensor), 0))
            for each, tensor in zip(outputs, tensors, strict=True)
        ]

    def smashed(self, flat: tuple[Any, ...]) -> list[Any]:
        """The frontier tensors among the values, and behind them the logits."""
        return [*self._with_role("smashed", flat), *self._with_role("logits", flat)]

    @property
    def logits(self) -> dict[int, int]:
        """From a frontier tensor's place to that of its logits, among the smashed ones."""
        count = sum(each.role == "smashed" for each in self.inputs)
        owners = [each.index for each in self.inputs if each.role == "logits"]
        return {owner: count + at for at, owner in enumerate(owners)}

    def targets(self, flat: tuple[Any, ...]) -> tuple[Any, Any]:
        """Labels and sample weights, nested."""
        labels = self._with_role("label", flat)
        return self.labels(labels), self.sample_weight(self._with_role("sample_weight", flat))

    def _with_role(self, role: str, flat: tuple[Any, ...]) -> list[Any]:
        return [value for spec, value in zip(self.inputs, flat, strict=True) if spec.role == role]
