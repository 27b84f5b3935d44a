"""The description of a body that a client places on a server, before anything is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_split.codec import read_document
from keras_split.errors import ProtocolError

Check = Callable[[Any], bool]


def read_placed(text: str) -> dict[str, Any]:
    """Parses it, and checks that everything is there that the server will look for.

    What the model itself may hold is for `Admission` and for Keras.

    Raises:
        ProtocolError: It is not such a description.
    """
    body = read_document(text, "The description of the body", finite=False)
    if not _BODY(body):
        raise ProtocolError(
            "The description of the body is not complete, or has something else in a place of its "
            "topology, its variables or its numerical settings. Do both sides run the same version?"
        )
    return body


def _is(*kinds: type) -> Check:
    # Not isinstance: a truth value is no number here.
    return lambda value: type(value) in kinds


def _list_of(check: Check) -> Check:
    return lambda value: type(value) is list and all(map(check, value))


def _dict_with(**checks: Check) -> Check:
    return lambda value: (
        type(value) is dict and all(name in value and check(value[name]) for name, check in checks.items())
    )


def _dict_of(check: Check) -> Check:
    return lambda value: type(value) is dict and all(map(check, value.values()))


_TEXT, _TEXTS, _SIZE = _is(str), _list_of(_is(str)), _is(int, type(None))
_TENSORS = _list_of(_dict_with(shape=_list_of(_SIZE), dtype=_TEXT, mask=_SIZE, is_output=_is(bool)))


def _frontier(value: Any) -> bool:
    """Tensors, of which some are the masks of others."""
    return _TENSORS(value) and all(each["mask"] is None or 0 <= each["mask"] < len(value) for each in value)


_NUMERICS = _dict_with(floatx=_TEXT, epsilon=_is(float, int), image_data_format=_TEXT, dtype_policy=_TEXT)
_BODY = _dict_with(
    topology=_dict_with(
        name=_TEXT,
        cut=_TEXTS,
        second_cut=_TEXTS,
        frontier=_frontier,
        second_frontier=_frontier,
        kept=lambda value: type(value) is int and value >= 0,
        output_names=_TEXTS,
    ),
    body=_dict_with(
        model=_is(dict),
        calls=_list_of(_list_of(_is(int))),
        layer_ranks=_dict_of(_is(int)),
        weight_ranks=_dict_of(_is(int)),
        frozen=_TEXTS,
        lora_alphas=_dict_of(_is(int, float)),
    ),
    # Those whose values come along; the others keep theirs.
    variables=_TEXTS,
    paths=_dict_of(_TEXT),
    numerics=lambda value: _NUMERICS(value) and len(value) == 4,
    modules=_TEXTS,
)
