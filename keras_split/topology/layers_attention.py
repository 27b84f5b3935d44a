"""Rules of the attention layers."""

from __future__ import annotations

import math

from keras_split.topology.checks import (
    Check,
    Options,
    Refusal,
    boolean,
    choice,
    either,
    integer,
    list_of,
    number,
    optional,
    seed,
)
from keras_split.topology.objects import vectors, weights
from keras_split.topology.rules import Effect, Kind, Rule, Shapes, Signature
from keras_split.topology.shapes import Dim, Shape, at_rank, elements, fixed, index

_FLAGS: Signature = (
    ("return_attention_scores", Kind.FLAG),
    ("training", Kind.FLAG),
    ("use_causal_mask", Kind.FLAG),
)
_PROJECTED: Signature = (
    ("query", Kind.TENSOR),
    ("value", Kind.TENSOR),
    ("key", Kind.OPTIONAL),
    ("query_mask", Kind.MASK),
    ("value_mask", Kind.MASK),
    ("key_mask", Kind.MASK),
    ("attention_mask", Kind.MASK),
    *_FLAGS,
)
_PLAIN: Signature = (
    ("inputs", Kind.TENSORS),
    ("mask", Kind.MASK),
    ("training", Kind.FLAG),
    ("return_attention_scores", Kind.FLAG),
    ("use_causal_mask", Kind.FLAG),
)


def _width(shape: Shape) -> int:
    return fixed(at_rank(shape, *range(3, 9))[-1], "last dimension")


def _projections(options: Options, inputs: int, heads: int, size: int) -> int:
    """Values of one projection to `heads` heads of `size`."""
    return (inputs + int(options.get("use_bias", True))) * heads * size


def _multi_head(options: Options, shapes: Shapes) -> Effect:
    heads, key_dim = options["num_heads"], options["key_dim"]
    value_dim = options.get("value_dim") or key_dim
    query, value = shapes["query"], shapes["value"]
    key = value if shapes.get("key") is None else shapes["key"]
    named = options.get("output_shape")
    tail = named if isinstance(named, list) else [named or _width(query)]
    width = math.prod(tail)
    count = _projections(options, _width(query), heads, key_dim)
    count += _projections(options, _width(key), heads, key_dim)
    count += _projections(options, _width(value), heads, value_dim)
    if options.get("use_gate", False):
        count += _projections(options, _width(query), heads, value_dim)
    count += (heads * value_dim + int(options.get("use_bias", True))) * width
    output = (*query[:-1], *map(Dim, tail))
    return _attended(options, shapes, output, count)


def _grouped(options: Options, shapes: Shapes) -> Effect:
    size, heads = options["head_dim"], options["num_query_heads"]
    key_heads = options["num_key_value_heads"]
    if heads % key_heads:
        raise Refusal(f"{key_heads} key heads do not divide {heads} query heads")
    query, value = at_rank(shapes["query"], 3), at_rank(shapes["value"], 3)
    key = value if shapes.get("key") is None else shapes["key"]
    count = _projections(options, _width(query), heads, size)
    count += _projections(options, _width(key), key_heads, size)
    count += _projections(options, _width(value), key_heads, size)
    if options.get("use_gate", False):
        count += _projections(options, _width(query), heads, size)
    count += (heads * size + int(options.get("use_bias", True))) * _width(query)
    return _attended(options, shapes, query, count)


def _attended(options: Options, shapes: Shapes, output: Shape, count: int) -> Effect:
    query, value = shapes["query"], shapes["value"]
    heads = options.get("num_heads") or options["num_query_heads"]
    scores = (query[0], Dim(heads), query[1], query[1])
    scratch = heads * elements(query[:-1]) * elements(value[:-1])
    outputs = (output, scores) if shapes.get("return_attention_scores") else (output,)
    return Effect(outputs, count, _width(value) * _attended_steps(options, shapes), scratch)


def _attended_steps(options: Options, shapes: Shapes) -> int:
    """Places that each query surely looks at; a mask may leave it but one."""
    if shapes.get("attention_mask") is not None or options.get("sliding_window"):
        return 1
    value = shapes["value"]
    named = options.get("attention_axes") or list(range(1, len(value) - 1))
    places = {index(value, at) for at in (named if isinstance(named, list) else [named])}
    return math.prod(value[at].size for at in places)


def _weighted_sum(options: Options, shapes: Shapes) -> Effect:
    """Attention without projections: what goes in as value comes out as it is."""
    inputs = shapes["inputs"]
    if len(inputs) not in (2, 3):
        raise Refusal(f"it gets {len(inputs)} inputs. Allowed: query, value and perhaps key")
    query, value = at_rank(inputs[0], 3), at_rank(inputs[1], 3)
    output, scores = (*query[:-1], value[-1]), (*query[:-1], value[1])
    outputs = (output, scores) if shapes.get("return_attention_scores") else (output,)
    depth = query[-1].size if _is_additive(options) else 1
    return Effect(outputs, _score_weights(options, query), scratch=elements(scores) * depth)


def _is_additive(options: Options) -> bool:
    return options.get("score_mode", "concat") == "concat"


def _score_weights(options: Options, query: Shape) -> int:
    if "score_mode" in options:
        return int(options.get("use_scale", False)) + int(_is_additive(options))
    return fixed(query[-1], "last dimension") if options.get("use_scale", True) else 0


def _as_written(options: Options, shapes: Shapes) -> Effect:
    """`Attention` always has a score mode, which tells it from `AdditiveAttention`."""
    return _weighted_sum({"score_mode": "dot", **options}, shapes)


_PROJECTION: dict[str, Check] = {
    "dropout": number(0, 1),
    "use_bias": boolean,
    "use_gate": boolean,
    "sliding_window": optional(integer(1)),
    "seed": seed,
    **weights("kernel"),
    **vectors("bias"),
}
_SCALE: dict[str, Check] = {"use_scale": boolean, "dropout": number(0, 1), "seed": seed}

RULES: dict[str, Rule] = {
    "MultiHeadAttention": Rule(
        _multi_head,
        {
            **_PROJECTION,
            "num_heads": integer(1),
            "key_dim": integer(1),
            "value_dim": optional(integer(1)),
            "output_shape": optional(either(list_of(integer(1), 1, 4), integer(1))),
            "attention_axes": optional(either(list_of(integer(1, 7), 1), integer(1, 7))),
        },
        frozenset({"num_heads", "key_dim"}),
        call=_PROJECTED,
    ),
    "GroupQueryAttention": Rule(
        _grouped,
        {
            **_PROJECTION,
            "head_dim": integer(1),
            "num_query_heads": integer(1),
            "num_key_value_heads": integer(1),
        },
        frozenset({"head_dim", "num_query_heads", "num_key_value_heads"}),
        call=_PROJECTED,
    ),
    "Attention": Rule(_as_written, {**_SCALE, "score_mode": choice("dot", "concat")}, call=_PLAIN),
    "AdditiveAttention": Rule(_weighted_sum, _SCALE, call=_PLAIN),
}
