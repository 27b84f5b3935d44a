"""Rules of the convolutional layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from keras_split.topology.checks import (
    Check,
    Options,
    Refusal,
    boolean,
    choice,
    data_format,
    integer,
    optional,
    tuple_of,
)
from keras_split.topology.objects import activation, vectors, weights
from keras_split.topology.rules import Effect, Rule, Shapes
from keras_split.topology.shapes import (
    Dim,
    Shape,
    at_rank,
    fixed,
    transposed_length,
    window_length,
)


@dataclass(frozen=True)
class Image:
    """A shape taken apart into its spatial dimensions and its channels, in either format."""

    batch: tuple[Dim, ...]
    spatial: Shape
    channels: Dim
    channels_first: bool

    @classmethod
    def of(cls, shape: Shape, rank: int, options: Options, steps: int = 0) -> Image:
        """Takes a shape apart; `steps` leading dimensions after the batch stay with it."""
        lead = 1 + steps
        at_rank(shape, lead + rank + 1)
        first = options.get("data_format") == "channels_first"
        rest = shape[lead:]
        spatial, channels = (rest[1:], rest[0]) if first else (rest[:-1], rest[-1])
        return cls(shape[:lead], spatial, channels, first)

    def with_(self, spatial: Sequence[Dim], channels: Dim) -> Shape:
        """The shape of an output with other spatial dimensions and channels."""
        if self.channels_first:
            return (*self.batch, channels, *spatial)
        return (*self.batch, *spatial, channels)


def windowed(options: Options, image: Image) -> list[Dim]:
    """Spatial dimensions after a convolution."""
    rank = len(image.spatial)
    strides, dilations = options.get("strides", [1] * rank), _dilation(options, rank)
    return [
        window_length(dim, size, stride, dilation, options.get("padding", "valid"))
        for dim, size, stride, dilation in zip(
            image.spatial, options["kernel_size"], strides, dilations, strict=True
        )
    ]


def taps(options: Options, image: Image) -> int:
    """Values of one channel that a window surely sees; a wide dilation reaches past the border."""
    if options.get("padding", "valid") == "valid":
        return math.prod(options["kernel_size"])
    rates = _dilation(options, len(image.spatial))
    return math.prod(
        min(size, max(1, dim.size // rate))
        for dim, size, rate in zip(image.spatial, options["kernel_size"], rates, strict=True)
    )


def dilated(options: Options, image: Image) -> int:
    """Values that TensorFlow holds to dilate a kernel: it pads the image as far as the kernel reaches."""
    rates = _dilation(options, len(image.spatial))
    if max(rates) == 1:
        return 0
    reach = (
        dim.size + size * rate
        for dim, size, rate in zip(image.spatial, options["kernel_size"], rates, strict=True)
    )
    return 2 * math.prod(reach) * image.channels.size


def _dilation(options: Options, rank: int) -> list[int]:
    return options.get("dilation_rate") or [1] * rank


def _convolution(options: Options, shapes: Shapes) -> Effect:
    image = Image.of(shapes["inputs"], len(options["kernel_size"]), options)
    channels, filters = fixed(image.channels, "number of channels"), options["filters"]
    groups = options.get("groups", 1)
    if channels % groups or filters % groups:
        raise Refusal(f"{groups} groups do not divide {channels} channels and {filters} filters")
    fan_in = math.prod(options["kernel_size"]) * (channels // groups)
    shape = image.with_(windowed(options, image), Dim(filters))
    # A convolution that sees one value at a time only scales the raw data.
    window = taps(options, image) * (channels // groups)
    count = fan_in * filters + _bias(options, filters)
    return Effect((shape,), count, window, dilated(options, image))


def _bias(options: Options, size: int) -> int:
    return size if options.get("use_bias", True) else 0


def _transposed(options: Options, shapes: Shapes) -> Effect:
    image = Image.of(shapes["inputs"], len(options["kernel_size"]), options)
    channels, filters = fixed(image.channels, "number of channels"), options["filters"]
    count = math.prod(options["kernel_size"]) * channels * filters + _bias(options, filters)
    shape = image.with_(_transposed_lengths(options, image), Dim(filters))
    return Effect((shape,), count, channels, dilated(options, image))


def _transposed_lengths(options: Options, image: Image) -> list[Dim]:
    rank = len(image.spatial)
    strides, dilations = options.get("strides", [1] * rank), _dilation(options, rank)
    extras = options.get("output_padding") or [None] * rank
    padding = options.get("padding", "valid")
    return [
        transposed_length(dim, size, stride, dilation, padding, extra)
        for dim, size, stride, dilation, extra in zip(
            image.spatial, options["kernel_size"], strides, dilations, extras, strict=True
        )
    ]


def _depthwise(options: Options, shapes: Shapes) -> Effect:
    image = Image.of(shapes["inputs"], len(options["kernel_size"]), options)
    width = fixed(image.channels, "number of channels") * options.get("depth_multiplier", 1)
    count = math.prod(options["kernel_size"]) * width + _bias(options, width)
    shape = image.with_(windowed(options, image), Dim(width))
    return Effect((shape,), count, taps(options, image), dilated(options, image))


def _separable(options: Options, shapes: Shapes) -> Effect:
    image = Image.of(shapes["inputs"], len(options["kernel_size"]), options)
    size, filters = math.prod(options["kernel_size"]), options["filters"]
    channels = fixed(image.channels, "number of channels")
    width = channels * options.get("depth_multiplier", 1)
    count = size * width + width * filters + _bias(options, filters)
    shape = image.with_(windowed(options, image), Dim(filters))
    # The multiplier makes copies of a channel, which are no further values.
    return Effect((shape,), count, taps(options, image) * channels, dilated(options, image))


def window_options(rank: int, *paddings: str) -> dict[str, Check]:
    """The options that all convolutions over `rank` dimensions share, their weights apart."""
    return {
        "kernel_size": tuple_of(integer(1), rank),
        "strides": tuple_of(integer(1), rank),
        "padding": choice("valid", "same", *paddings),
        "data_format": data_format,
        "dilation_rate": tuple_of(integer(1), rank),
        "activation": activation,
        "use_bias": boolean,
    }


def _plain(rank: int) -> Rule:
    options = {
        **window_options(rank, *(("causal",) if rank == 1 else ())),
        **weights("kernel"),
        **vectors("bias"),
        "filters": integer(1),
        "groups": integer(1),
    }
    return Rule(_convolution, options, frozenset({"filters", "kernel_size"}))


def _transpose(rank: int) -> Rule:
    options = {
        **window_options(rank),
        **weights("kernel"),
        **vectors("bias"),
        "filters": integer(1),
        "output_padding": optional(tuple_of(integer(0), rank)),
    }
    return Rule(_transposed, options, frozenset({"filters", "kernel_size"}))


def _depthwise_rule(rank: int) -> Rule:
    options = {
        **window_options(rank),
        **weights("depthwise"),
        **vectors("bias"),
        "depth_multiplier": integer(1),
    }
    return Rule(_depthwise, options, frozenset({"kernel_size"}))


def _separable_rule(rank: int) -> Rule:
    options = {
        **window_options(rank, *(("causal",) if rank == 1 else ())),
        **weights("depthwise", "pointwise"),
        **vectors("bias"),
        "filters": integer(1),
        "depth_multiplier": integer(1),
    }
    return Rule(_separable, options, frozenset({"filters", "kernel_size"}))


RULES: dict[str, Rule] = {
    **{f"Conv{rank}D": _plain(rank) for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": _transpose(rank) for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": _depthwise_rule(rank) for rank in (1, 2)},
    **{f"SeparableConv{rank}D": _separable_rule(rank) for rank in (1, 2)},
}
