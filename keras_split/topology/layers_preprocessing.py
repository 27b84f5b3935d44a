"""Rules of image augmentation and category encoding inside a model."""

from __future__ import annotations

from keras_split.topology.checks import (
    Check,
    Options,
    boolean,
    choice,
    data_format,
    either,
    integer,
    number,
    optional,
    seed,
    tuple_of,
)
from keras_split.topology.layers_convolution import Image
from keras_split.topology.rules import Effect, Kind, Rule, Shapes, Signature, one_input, unchanged
from keras_split.topology.shapes import Dim, Shape, elements

_DATA: Signature = (("data", Kind.TENSOR), ("training", Kind.FLAG))
_same = one_input(unchanged, "data")


def _resizing_effect(options: Options, shapes: Shapes) -> Effect:
    shape = shapes["data"]
    image = Image.of(shape, 2, options)
    rows, columns = (dim.size for dim in image.spatial)
    height, width = options["height"], options["width"]
    # The image is first padded to the other's proportions.
    padded = max(rows, -(-columns * height // width)) * max(columns, -(-rows * width // height))
    scratch = padded * image.channels.size if options.get("pad_to_aspect_ratio") else 0
    return Effect((_resized(options, shape),), scratch=scratch)


def _resized(options: Options, shape: Shape) -> Shape:
    image = Image.of(shape, 2, options)
    return image.with_([Dim(options["height"]), Dim(options["width"])], image.channels)


def _category_encoding(options: Options, shapes: Shapes) -> Effect:
    """Each category becomes a row of its own before they are added up."""
    shape = shapes["inputs"]
    return Effect((_encoded(options, shape),), scratch=elements(shape) * options["num_tokens"])


def _encoded(options: Options, shape: Shape) -> Shape:
    tokens = Dim(options["num_tokens"])
    last = shape[-1]
    if options.get("output_mode") == "one_hot" and not (last.known and last.size == 1):
        return (*shape, tokens)
    return (*shape[:-1], tokens)


_FACTOR = optional(either(tuple_of(number(-10, 10), 2), number(-10, 10)))
_INTERPOLATION = choice("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5")
_FILL: dict[str, Check] = {
    "fill_mode": choice("constant", "reflect", "wrap", "nearest"),
    "fill_value": number(),
    "interpolation": _INTERPOLATION,
}
_COMMON: dict[str, Check] = {"data_format": data_format, "seed": seed}
_SIZE: dict[str, Check] = {**_COMMON, "height": integer(1), "width": integer(1)}
_RANGE: dict[str, Check] = {**_COMMON, "value_range": tuple_of(number(), 2), "factor": _FACTOR}
_TWO_FACTORS: dict[str, Check] = {
    **_COMMON,
    **_FILL,
    "height_factor": _FACTOR,
    "width_factor": _FACTOR,
}
_HEIGHT_AND_WIDTH = frozenset({"height", "width"})


def _augmentation(options: dict[str, Check]) -> Rule:
    return Rule(_same, options, call=_DATA)


def _resizing(options: dict[str, Check]) -> Rule:
    return Rule(_resizing_effect, options, _HEIGHT_AND_WIDTH, call=_DATA)


RULES: dict[str, Rule] = {
    "Resizing": _resizing(
        {
            **_SIZE,
            **_FILL,
            "crop_to_aspect_ratio": boolean,
            "pad_to_aspect_ratio": boolean,
            "antialias": boolean,
        }
    ),
    "CenterCrop": _resizing(_SIZE),
    "RandomCrop": _resizing(_SIZE),
    "RandomFlip": _augmentation(
        {**_COMMON, "mode": choice("horizontal", "vertical", "horizontal_and_vertical")}
    ),
    "RandomRotation": _augmentation({**_COMMON, **_FILL, "factor": _FACTOR}),
    "RandomTranslation": _augmentation(_TWO_FACTORS),
    "RandomZoom": _augmentation(_TWO_FACTORS),
    "RandomContrast": _augmentation(_RANGE),
    "RandomBrightness": _augmentation(_RANGE),
    "CategoryEncoding": Rule(
        _category_encoding,
        {
            "num_tokens": integer(1),
            "output_mode": choice("multi_hot", "one_hot", "count"),
            "sparse": choice(False),
        },
        frozenset({"num_tokens"}),
        call=(("inputs", Kind.TENSOR), ("count_weights", Kind.NOTHING)),
    ),
}
