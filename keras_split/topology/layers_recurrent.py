"""Rules of the recurrent layers."""

from __future__ import annotations

import math

from keras_split.topology.checks import (
    Check,
    Options,
    boolean,
    choice,
    integer,
    number,
    optional,
    seed,
)
from keras_split.topology.layers_convolution import Image, dilated, taps, window_options, windowed
from keras_split.topology.objects import activation, vectors, weights
from keras_split.topology.rules import Effect, Infer, Kind, Rule, Shapes, Signature
from keras_split.topology.shapes import Dim, Shape, at_rank, elements, fixed

SEQUENCE: Signature = (
    ("sequences", Kind.TENSOR),
    ("initial_state", Kind.STATE),
    ("mask", Kind.MASK),
    ("training", Kind.FLAG),
)


def _recurrent(gates: int, states: int) -> Infer:
    """A layer whose kernels hold `gates` blocks, and which carries `states` vectors."""

    def infer(options: Options, shapes: Shapes) -> Effect:
        sequence, units = at_rank(shapes["sequences"], 3), options["units"]
        width = fixed(sequence[2], "number of features")
        biases = _biases(options, gates)
        count = gates * units * (width + units + biases)
        outputs = _outputs(options, sequence, (Dim(units),), states)
        # Input fed one value at a time is still mixed over time.
        window = width * _steps_mixed(options, sequence)
        return Effect(outputs, count, window, scratch=sequence[1].size * gates * units)

    return infer


def _steps_mixed(options: Options, sequence: Shape) -> int:
    """Steps that reach an output; where the state is dropped, each step may stand alone."""
    return 1 if options.get("recurrent_dropout") else sequence[1].size


def _biases(options: Options, gates: int) -> int:
    """Bias vectors per gate: a GRU that resets after the product has two."""
    if not options.get("use_bias", True):
        return 0
    return 2 if gates == 3 and options.get("reset_after", True) else 1


def _outputs(options: Options, sequence: Shape, state: Shape, states: int) -> tuple[Shape, ...]:
    batch, steps = sequence[0], sequence[1]
    sequences = options.get("return_sequences", False)
    output = (batch, steps, *state) if sequences else (batch, *state)
    extra = states if options.get("return_state", False) else 0
    return (output, *([(batch, *state)] * extra))


def _convolutional(options: Options, shapes: Shapes) -> Effect:
    sequence, rank = shapes["sequences"], len(options["kernel_size"])
    image = Image.of(sequence, rank, options, steps=1)
    for dim in image.spatial:
        fixed(dim, "image size")
    filters, window = options["filters"], math.prod(options["kernel_size"])
    width = fixed(image.channels, "number of channels") + filters
    count = 4 * filters * (window * width + int(options.get("use_bias", True)))
    state = image.with_(windowed(options, image), Dim(filters))[2:]
    outputs = _outputs(options, sequence, state, states=2)
    scratch = 4 * sequence[1].size * elements(state) + sequence[1].size * dilated(options, image)
    seen = taps(options, image) * image.channels.size * _steps_mixed(options, sequence)
    return Effect(outputs, count, seen, scratch)


_COMMON: dict[str, Check] = {
    "return_sequences": boolean,
    "return_state": boolean,
    "go_backwards": boolean,
    # A state that outlives the batch, or a graph as long as the sequence, is refused.
    "stateful": choice(False),
    "unroll": choice(False),
    "zero_output_for_mask": boolean,
    "activation": activation,
    "recurrent_activation": activation,
    "use_bias": boolean,
    "unit_forget_bias": boolean,
    "reset_after": boolean,
    "dropout": number(0, 1),
    "recurrent_dropout": number(0, 1),
    "seed": seed,
    **weights("kernel", "recurrent"),
    **vectors("bias"),
}


def _options(*absent: str) -> dict[str, Check]:
    return {name: check for name, check in _COMMON.items() if name not in absent}


def _plain(gates: int, states: int, *absent: str) -> Rule:
    options = {**_options(*absent), "units": integer(1)}
    return Rule(_recurrent(gates, states), options, frozenset({"units"}), call=SEQUENCE)


def _conv_lstm(rank: int) -> Rule:
    options = {**_options("reset_after"), **window_options(rank), "filters": integer(1)}
    options["dilation_rate"] = optional(options["dilation_rate"])
    return Rule(_convolutional, options, frozenset({"filters", "kernel_size"}), call=SEQUENCE)


RULES: dict[str, Rule] = {
    "SimpleRNN": _plain(1, 1, "recurrent_activation", "unit_forget_bias", "reset_after"),
    "LSTM": _plain(4, 2, "reset_after"),
    "GRU": _plain(3, 1, "unit_forget_bias"),
    **{f"ConvLSTM{rank}D": _conv_lstm(rank) for rank in (1, 2, 3)},
}
