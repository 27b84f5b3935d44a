"""What a random case is made of, before anything of it is built, and as the lines that build it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import layers, ops

# For the expressions of steps.
_NAMES = {"layers": layers, "ops": ops, "keras": keras}


@dataclass(frozen=True)
class Step:
    """One operation of a model.

    Args:
        name: Of the tensor that it makes, and of the layer.
        reads: Names of the tensors that it reads.
        made_by: Expression of what is called: a layer without its name, or a function of tensors.
        shares: Name of an earlier step whose layer is called again, or "".
        shape: Of what it makes, without the batch; for a reader, and to draw further steps.
        way: How the operation is called: with a list (`"list"`), with arguments (`"each"`).
    """

    name: str
    reads: tuple[str, ...]
    made_by: str
    shape: tuple[int, ...]
    shares: str = ""
    way: str = "each"

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer, which has a name."""
        return self.made_by.startswith("layers.")

    def lines(self) -> Iterator[str]:
        """The code that makes it."""
        made = f"m_{self.shares or self.name}"
        if not self.shares:
            named = self.made_by
            if self.is_layer:
                comma = "" if named.endswith("(") or named.endswith("()") else ", "
                named = f'{named[:-1]}{comma}name="{self.name}")'
            yield f"{made} = {named}"
        read = ", ".join(self.reads)
        yield f"{self.name} = {made}({f'[{read}]' if self.way == 'list' else read})"


@dataclass(frozen=True)
class Draft:
    """A model, its cuts and how it is trained.

    Args:
        inputs: Name of each input to its shape and dtype.
        steps: In the order in which the model is built.
        outputs: Names of the tensors that the model returns, each made by a layer.
        losses: Of the outputs.
        cut: Names.
        second_cut: Names, or none.
        optimizer: Expression.
        rows: Of data.
        batch: Rows in a batch.
        policy: Dtype policy.
        seed: Of weights and data.
    """

    inputs: tuple[tuple[str, tuple[int, ...], str], ...]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    losses: tuple[str, ...]
    cut: tuple[str, ...]
    second_cut: tuple[str, ...]
    optimizer: str
    rows: int
    batch: int
    policy: str
    seed: int

    def build(self) -> keras.Model:
        """The compiled model, anew."""
        keras.config.set_dtype_policy(self.policy)
        keras.utils.set_random_seed(self.seed)
        found = dict(_NAMES)
        exec("\n".join(self.lines()), found)
        model: keras.Model = found["model"]
        return model

    def lines(self) -> Iterator[str]:
        """The code of the model, as one would write it by hand."""
        for name, shape, dtype in self.inputs:
            yield f'{name} = keras.Input({shape}, dtype="{dtype}", name="{name}")'
        for step in self.steps:
            yield from step.lines()
        read = ", ".join(name for name, _, _ in self.inputs)
        yield f'model = keras.Model([{read}], [{", ".join(self.outputs)}], name="model")'
        yield f"model.compile({self.optimizer}, {list(self.losses)})"

    def __str__(self) -> str:
        how = f"# cut={list(self.cut)}, second_cut={list(self.second_cut)}, {self.rows} rows in batches of "
        return "\n".join([*self.lines(), f"{how}{self.batch}, {self.policy}, seed {self.seed}"])

    def data(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Inputs and labels."""
        random = np.random.default_rng(self.seed)
        x = [self._drawn(random, shape, dtype) for _, shape, dtype in self.inputs]
        shapes = {step.name: step.shape for step in self.steps}
        pairs = zip(self.outputs, self.losses, strict=True)
        return x, [self._label(random, shapes[name], loss) for name, loss in pairs]

    def without(self, name: str) -> Draft | None:
        """The same without one step, whose readers read instead what it has read; None if that cannot be."""
        step = next(each for each in self.steps if each.name == name)
        others = {each.name: each.shape for each in self.steps} | {n: shape for n, shape, _ in self.inputs}
        fitting = [each for each in step.reads if others[each] == step.shape]
        if name in self.outputs or not fitting or any(each.shares == name for each in self.steps):
            return None
        instead = fitting[0]
        if name in (*self.cut, *self.second_cut):
            return None
        steps = tuple(
            replace(each, reads=tuple(instead if read == name else read for read in each.reads))
            for each in self.steps
            if each.name != name
        )
        return replace(self, steps=steps).pruned()

    def pruned(self) -> Draft:
        """Without what no output is made of."""
        wanted, steps = set(self.outputs), []
        for step in reversed(self.steps):
            if step.name in wanted:
                wanted.update(step.reads)
                steps.append(step)
        kept = {step.name for step in steps}
        unshared = [
            replace(step, shares="") if step.shares and step.shares not in kept else step
            for step in reversed(steps)
        ]
        inputs = tuple(each for each in self.inputs if each[0] in wanted)
        return replace(self, steps=tuple(unshared), inputs=inputs)

    def _drawn(self, random: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if dtype == "int32":
            return random.integers(0, 12, (self.rows, *shape)).astype("int32")
        return random.normal(size=(self.rows, *shape)).astype("float32")

    def _label(self, random: Any, shape: tuple[int, ...], loss: str) -> np.ndarray:
        if loss == "sparse_categorical_crossentropy":
            return random.integers(0, shape[-1], (self.rows, *shape[:-1]))
        if loss == "categorical_crossentropy":
            return np.eye(shape[-1], dtype="float32")[random.integers(0, shape[-1], self.rows)]
        if loss == "binary_crossentropy":
            return random.integers(0, 2, (self.rows, *shape)).astype("float32")
        return random.normal(size=(self.rows, *shape)).astype("float32")
