"""Rules of pooling, padding, cropping and up-sampling: they move through space without weights."""

from __future__ import annotations

from keras_split.topology.checks import (
    Options,
    boolean,
    choice,
    data_format,
    integer,
    optional,
    tuple_of,
)
from keras_split.topology.layers_convolution import Image
from keras_split.topology.rules import INPUTS_AND_MASK, Rule, one_input
from keras_split.topology.shapes import ONE, Dim, Shape, scaled, shifted, window_length


def _pooled(options: Options, shape: Shape) -> Shape:
    sizes = options["pool_size"]
    image = Image.of(shape, len(sizes), options)
    strides, padding = options.get("strides") or sizes, options.get("padding", "valid")
    spatial = [
        window_length(dim, size, stride, 1, padding)
        for dim, size, stride in zip(image.spatial, sizes, strides, strict=True)
    ]
    return image.with_(spatial, image.channels)


def _pooling(rank: int) -> Rule:
    options = {
        "pool_size": tuple_of(integer(1), rank),
        "strides": optional(tuple_of(integer(1), rank)),
        "padding": choice("valid", "same"),
        "data_format": data_format,
    }
    return Rule(one_input(_pooled), options, frozenset({"pool_size"}))


def _global_pooling(rank: int) -> Rule:
    def pooled(options: Options, shape: Shape) -> Shape:
        image = Image.of(shape, rank, options)
        if options.get("keepdims", False):
            return image.with_([ONE] * rank, image.channels)
        return (*image.batch, image.channels)

    return Rule(
        one_input(pooled),
        {"data_format": data_format, "keepdims": boolean},
        call=INPUTS_AND_MASK,
    )


def _adaptive_pooling(rank: int) -> Rule:
    def pooled(options: Options, shape: Shape) -> Shape:
        image = Image.of(shape, rank, options)
        return image.with_([Dim(size) for size in options["output_size"]], image.channels)

    options = {"output_size": tuple_of(integer(1), rank), "data_format": data_format}
    return Rule(one_input(pooled), options, frozenset({"output_size"}))


def _moved_borders(rank: int, option: str, sign: int) -> Rule:
    """Zero padding (`sign` 1) and cropping (`sign` -1) of both ends of each dimension."""

    def moved(options: Options, shape: Shape) -> Shape:
        image = Image.of(shape, rank, options)
        borders = options[option] if rank > 1 else [options[option]]
        spatial = [
            shifted(dim, sign * (low + high)) for dim, (low, high) in zip(image.spatial, borders, strict=True)
        ]
        return image.with_(spatial, image.channels)

    pair = tuple_of(integer(0), 2)
    options = {option: pair if rank == 1 else tuple_of(pair, rank), "data_format": data_format}
    return Rule(one_input(moved), options, frozenset({option}))


def _up_sampling(rank: int) -> Rule:
    def enlarged(options: Options, shape: Shape) -> Shape:
        image = Image.of(shape, rank, options)
        sizes = options["size"] if rank > 1 else [options["size"]]
        spatial = [scaled(dim, size) for dim, size in zip(image.spatial, sizes, strict=True)]
        return image.with_(spatial, image.channels)

    options = {
        "size": integer(1) if rank == 1 else tuple_of(integer(1), rank),
        "data_format": data_format,
        "interpolation": choice("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"),
    }
    return Rule(one_input(enlarged), options, frozenset({"size"}))


def _family(kinds: tuple[str, ...], name: str, rank: int) -> dict[str, Rule]:
    rules = {"": _pooling, "Global": _global_pooling, "Adaptive": _adaptive_pooling}
    return {f"{prefix}{kind}{name}{rank}D": make(rank) for kind in kinds for prefix, make in rules.items()}


RULES: dict[str, Rule] = {}
for _rank in (1, 2, 3):
    RULES |= _family(("Max", "Average"), "Pooling", _rank)
    RULES[f"ZeroPadding{_rank}D"] = _moved_borders(_rank, "padding", 1)
    RULES[f"Cropping{_rank}D"] = _moved_borders(_rank, "cropping", -1)
    RULES[f"UpSampling{_rank}D"] = _up_sampling(_rank)
