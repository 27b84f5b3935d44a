"""Draws random cases: graphs of all kinds, cuts, optimizers, losses, ragged batches, precisions."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from graphs.draft import Draft, Step

_ACTIVATIONS = (
    "None",
    "relu",
    "gelu",
    "elu",
    "tanh",
    "sigmoid",
    "silu",
    "softplus",
    "selu",
    "leaky_relu",
    "relu6",
)
_OPTIMIZERS = (
    "keras.optimizers.SGD(0.1)",
    "keras.optimizers.SGD(0.1, momentum=0.9)",
    "keras.optimizers.SGD(0.05, momentum=0.8, nesterov=True)",
    "keras.optimizers.Adam(1e-2)",
    "keras.optimizers.AdamW(1e-2)",
    "keras.optimizers.RMSprop(1e-2)",
    "keras.optimizers.Adam(1e-2, clipnorm=0.5)",
    "keras.optimizers.Nadam(1e-2)",
    "keras.optimizers.Lion(1e-3)",
    "keras.optimizers.Adagrad(0.05)",
    "keras.optimizers.SGD(0.1, use_ema=True)",
    "keras.optimizers.Adam(1e-2, gradient_accumulation_steps=2)",
)


class Drawer:
    """One random case.

    Args:
        seed: Of everything.
    """

    def __init__(self, seed: int):
        self._seed = seed
        self._random = random.Random(seed)
        self._steps: list[Step] = []
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._inputs: list[tuple[str, tuple[int, ...], str]] = []

    def draw(self) -> Draft:
        """A model without cuts, which are drawn among those that it has."""
        kind = self._random.choice(("dense", "dense", "dense", "image", "sequence"))
        for at in range(self._random.choice((1, 1, 1, 2))):
            getattr(self, f"_begin_{kind}")(f"i{at}")
        for _ in range(self._random.randint(3, 11)):
            self._grow()
        outputs, losses = self._end()
        policy = self._random.choice(("float32",) * 7 + ("mixed_bfloat16",))
        batch = self._random.choice((8, 16))
        rows = self._random.choice((4 * batch, 4 * batch + 11, 3 * batch + 1))
        optimizer = self._random.choice(_OPTIMIZERS)
        drawn = (tuple(self._inputs), tuple(self._steps), outputs, losses, (), (), optimizer)
        return Draft(*drawn, rows, batch, policy, self._seed).pruned()

    def _begin_dense(self, name: str) -> None:
        self._input(name, (self._random.choice((5, 12)),))
        self._add(f"layers.Dense({self._width()}, {self._activation()})", name)

    def _begin_image(self, name: str) -> None:
        self._input(name, (8, 8, self._random.choice((1, 3))))
        self._add(f"layers.Conv2D({self._width()}, 3, padding='same', {self._activation()})", name)

    def _begin_sequence(self, name: str) -> None:
        if self._random.random() < 0.5:
            self._input(name, (6,), "int32")
            masks = self._random.choice((True, False))
            self._add(f"layers.Embedding(12, {self._width()}, mask_zero={masks})", name)
        else:
            self._input(name, (6, 5))
            self._add(f"layers.Dense({self._width()}, {self._activation()})", name)

    def _input(self, name: str, shape: tuple[int, ...], dtype: str = "float32") -> None:
        self._inputs.append((name, shape, dtype))
        self._shapes[name] = shape

    def _width(self) -> int:
        return self._random.choice((4, 8, 8, 16, 24))

    def _activation(self) -> str:
        name = self._random.choice(_ACTIVATIONS)
        return "activation=None" if name == "None" else f"activation='{name}'"

    def _add(self, made_by: str, *reads: str, shape: tuple[int, ...] | None = None, **more: str) -> str:
        name = f"s{len(self._steps)}"
        self._steps.append(Step(name, reads, made_by, shape or self._infer(made_by, reads), **more))
        self._shapes[name] = self._steps[-1].shape
        return name

    def _infer(self, made_by: str, reads: tuple[str, ...]) -> tuple[int, ...]:
        shape = self._shapes[reads[0]]
        called, _, arguments = made_by.partition("(")
        if called in ("layers.Dense", "layers.Conv2D", "layers.Conv1D"):
            return (*shape[:-1], int(arguments.split(",")[0]))
        if called == "layers.Embedding":
            return (*shape, int(arguments.split(",")[1]))
        return shape

    def _grow(self) -> None:
        """Adds one step behind a tensor, most often one of the newest."""
        made = [step.name for step in self._steps]
        name = made[-1] if self._random.random() < 0.5 else self._random.choice(made)
        rank = len(self._shapes[name])
        joined = self._partners(name)
        if joined and self._random.random() < 0.4:
            self._join(name, joined)
        elif self._random.random() < 0.07 and self._share(name):
            return
        else:
            choices = {1: _VECTOR, 2: _SEQUENCE, 3: _IMAGE}[rank]
            self._random.choice(choices)(self, name)

    def _partners(self, name: str) -> list[str]:
        made = [step.name for step in self._steps]
        return [each for each in made if each != name and self._shapes[each] == self._shapes[name]]

    def _join(self, name: str, partners: list[str]) -> None:
        other = self._random.choice(partners)
        kind = self._random.choice(
            ("Add", "Add", "Subtract", "Multiply", "Average", "Maximum", "Concatenate", "add", "multiply")
        )
        if kind in ("add", "multiply"):
            self._add(f"ops.{kind}", name, other)
            return
        three = [each for each in partners if each != other]
        reads = [name, other]
        if kind in ("Add", "Average", "Concatenate") and three and self._random.random() < 0.4:
            reads.append(self._random.choice(three))
        self._random.shuffle(reads)
        shape = self._shapes[name]
        if kind == "Concatenate":
            shape = (*shape[:-1], shape[-1] * len(reads))
        self._add(f"layers.{kind}()", *reads, shape=shape, way="list")

    def _share(self, name: str) -> bool:
        """Calls an earlier layer again, on another tensor of the shape that it has read."""
        fitting = [
            step
            for step in self._steps
            if step.is_layer
            and len(step.reads) == 1
            and step.way == "each"
            and not step.shares
            and step.reads != (name,)
            and self._shapes.get(step.reads[0]) == self._shapes[name]
            and not step.made_by.startswith("layers.Embedding")
        ]
        if not fitting:
            return False
        step = self._random.choice(fitting)
        self._add(step.made_by, name, shape=step.shape, shares=step.name)
        return True

    def _end(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Joins what nobody has read, and ends in one output, or two."""
        read = {name for step in self._steps for name in step.reads}
        loose = [self._as_vector(step.name) for step in list(self._steps) if step.name not in read]
        joined = loose[0]
        if len(loose) > 1:
            width = sum(self._shapes[each][0] for each in loose)
            joined = self._add("layers.Concatenate()", *loose, shape=(width,), way="list")
        count = self._random.choice((1, 1, 1, 2))
        ends = [self._output(joined) for _ in range(count)]
        return tuple(name for name, _ in ends), tuple(loss for _, loss in ends)

    def _as_vector(self, name: str) -> str:
        shape = self._shapes[name]
        if len(shape) == 1:
            return name
        made_by = {2: "layers.GlobalAveragePooling1D()", 3: "layers.GlobalAveragePooling2D()"}[len(shape)]
        if len(shape) == 3 and math.prod(shape) < 300 and self._random.random() < 0.5:
            return self._add("layers.Flatten()", name, shape=(math.prod(shape),))
        return self._add(made_by, name, shape=(shape[-1],))

    def _output(self, name: str) -> tuple[str, str]:
        layer, loss = self._random.choice(
            (
                ("layers.Dense(4, activation='softmax')", "sparse_categorical_crossentropy"),
                ("layers.Dense(4, activation='softmax')", "categorical_crossentropy"),
                ("layers.Dense(2, activation='sigmoid')", "binary_crossentropy"),
                ("layers.Dense(3)", "mse"),
                ("layers.Dense(1)", "mae"),
                ("layers.Dense(2)", "huber"),
            )
        )
        return self._add(layer.replace(")", ", dtype='float32')"), name), loss


Grow = Callable[[Drawer, str], None]


def _same(*made_by: str) -> Grow:
    """A step that keeps the shape."""
    return lambda drawer, name: drawer._add(drawer._random.choice(made_by), name) and None


def _activated(drawer: Drawer, name: str) -> None:
    kind = drawer._random.choice(_ACTIVATIONS[1:])
    drawer._add(f"layers.Activation('{kind}')", name)


def _dense(drawer: Drawer, name: str) -> None:
    drawer._add(f"layers.Dense({drawer._width()}, {drawer._activation()})", name)


def _regularised(drawer: Drawer, name: str) -> None:
    kind = drawer._random.choice(
        (
            "kernel_regularizer='l2'",
            "activity_regularizer='l1'",
            "use_bias=False",
            "kernel_constraint='max_norm'",
        )
    )
    drawer._add(f"layers.Dense({drawer._width()}, {drawer._activation()}, {kind})", name)


def _conv(drawer: Drawer, name: str) -> None:
    size = drawer._random.choice((1, 3))
    bias = drawer._random.choice(("", ", use_bias=False"))
    drawer._add(
        f"layers.Conv2D({drawer._width()}, {size}, padding='same', {drawer._activation()}{bias})", name
    )


def _pool(drawer: Drawer, name: str) -> None:
    height, width, channels = drawer._shapes[name]
    if height > 2:
        kind = drawer._random.choice(("MaxPooling2D", "AveragePooling2D"))
        drawer._add(f"layers.{kind}(2)", name, shape=(height // 2, width // 2, channels))


def _conv1(drawer: Drawer, name: str) -> None:
    drawer._add(f"layers.Conv1D({drawer._width()}, 3, padding='same', {drawer._activation()})", name)


def _recurrent(drawer: Drawer, name: str) -> None:
    kind = drawer._random.choice(("LSTM", "GRU", "SimpleRNN"))
    width = drawer._random.choice((4, 8))
    steps = drawer._shapes[name][0]
    if drawer._random.random() < 0.4:
        drawer._add(
            f"layers.Bidirectional(layers.{kind}({width}, return_sequences=True))",
            name,
            shape=(steps, 2 * width),
        )
    else:
        drawer._add(f"layers.{kind}({width}, return_sequences=True)", name, shape=(steps, width))


def _attention(drawer: Drawer, name: str) -> None:
    partners = [each for each in drawer._partners(name)] + [name]
    other = drawer._random.choice(partners)
    drawer._add("layers.MultiHeadAttention(2, 4)", name, other)


_SIMPLE = _same(
    "layers.Dropout(0.3)",
    "layers.LayerNormalization()",
    "layers.BatchNormalization()",
    "layers.Rescaling(0.7)",
    "layers.Rescaling(1.3, offset=0.1)",
    "layers.GaussianNoise(0.1)",
)
_FUNCTIONS = _same(
    "(lambda x: x * 0.5)",
    "(lambda x: x + 0.25)",
    "(lambda x: 1.0 - x)",
    "ops.square",
    "ops.tanh",
    "ops.abs",
    "ops.relu",
    "(lambda x: x * 1.5 + 0.5)",
    "(lambda x: x * x)",
    "(lambda x: x + x)",
)
_VECTOR: tuple[Grow, ...] = (
    _dense,
    _dense,
    _dense,
    _activated,
    _regularised,
    _SIMPLE,
    _SIMPLE,
    _FUNCTIONS,
    _same(
        "layers.PReLU()",
        "layers.UnitNormalization()",
        "layers.LeakyReLU()",
        "layers.Softmax()",
        "layers.RMSNormalization()",
    ),
)
_IMAGE: tuple[Grow, ...] = (
    _conv,
    _conv,
    _pool,
    _activated,
    _SIMPLE,
    _SIMPLE,
    _FUNCTIONS,
    _same(
        "layers.SpatialDropout2D(0.3)",
        "layers.DepthwiseConv2D(3, padding='same')",
        "layers.GroupNormalization(1)",
        "layers.ReLU()",
    ),
)
_SEQUENCE: tuple[Grow, ...] = (
    _dense,
    _conv1,
    _recurrent,
    _attention,
    _activated,
    _SIMPLE,
    _SIMPLE,
    _FUNCTIONS,
)


def drawn(seed: int) -> Draft:
    """The model of a number, without cuts."""
    return Drawer(seed).draw()
