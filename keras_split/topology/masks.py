"""Masks among the arguments of a call: they must fit the data, and not be raw data themselves.

A layer that mixes its data still shows its mask: an LSTM answers zero, or twice the same, where a step
is masked. And a mask of another shape would enlarge what it is laid upon, unseen by the layer's rule.
"""

from __future__ import annotations

from typing import Any

from keras_split.topology.calls import leaves
from keras_split.topology.checks import Options, Refusal
from keras_split.topology.rules import Kind, Signature
from keras_split.topology.shapes import Shape, text
from keras_split.topology.values import Value

_DATA_OF = {"query_mask": "query", "value_mask": "value", "key_mask": "key"}


def check_masks(call: Signature, options: Options, arguments: dict[str, Any], *, may_be_raw: bool) -> None:
    """Looks at every mask that a call names.

    Raises:
        Refusal: A mask shows raw data, or does not fit.
    """
    for name, kind in call:
        mask = arguments.get(name)
        if kind is Kind.MASK and mask is not None:
            if not may_be_raw:
                _check_trace(mask, name)
            if name == "attention_mask":
                _check_attention(mask, options, arguments)
            else:
                _check_shapes(mask, arguments.get(_DATA_OF.get(name, call[0][0])), name)


def _check_trace(mask: Any, name: str) -> None:
    for each in leaves(mask, Value):
        if each.trace.raw:
            raise Refusal(
                f"a mask that would show the raw input {min(each.trace.raw)!r}. Allowed: the padding mask of "
                "an Embedding on integers, or of a Masking layer, right behind the input itself",
                f"call.{name}",
            )


def _check_shapes(mask: Any, data: Any, name: str) -> None:
    masks, many = _flat(mask), list(leaves(data, Value))
    if len(masks) > len(many):
        raise Refusal(f"{len(masks)} masks of {len(many)} tensors", f"call.{name}")
    for each, tensor in zip(masks, many, strict=False):
        if each is not None and not _covers(each.shape, tensor.shape):
            raise Refusal(f"{text(each.shape)}, which does not fit {text(tensor.shape)}", f"call.{name}")


def _flat(mask: Any) -> list[Any]:
    """Masks in the order of `leaves`, with the places where there is none."""
    if isinstance(mask, dict):
        return [each for key in sorted(mask) for each in _flat(mask[key])]
    return [each for part in mask for each in _flat(part)] if isinstance(mask, list) else [mask]


def _covers(mask: Shape, data: Shape) -> bool:
    return len(mask) <= len(data) and all(
        one.size in (1, other.size) or not (one.known and other.known)
        for one, other in zip(mask, data, strict=False)
    )


def _check_attention(mask: Any, options: Options, arguments: dict[str, Any]) -> None:
    """Scores have the shape (batch, heads, queries, values)."""
    query, value = arguments["query"].shape, arguments["value"].shape
    heads = options.get("num_heads") or options.get("num_query_heads", 1)
    for each in leaves(mask, Value):
        shape = each.shape
        between = shape[1:-2]
        fits = len(query) == len(value) == 3 and 3 <= len(shape) <= 4
        fits = fits and all(dim.size in (1, heads) for dim in between)
        if not fits or not _covers(shape[-2:], (query[1], value[1])):
            raise Refusal(
                f"{text(shape)}. Allowed: (batch, {query[1]}, {value[1]}) on tensors of rank 3",
                "call.attention_mask",
            )
