"""Validates the topology of a client's part before Keras sees it."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_split.digest import digest_of
from keras_split.errors import TopologyError
from keras_split.topology.calls import leaves
from keras_split.topology.checks import Refusal, words
from keras_split.topology.evaluation import Evaluation
from keras_split.topology.limits import TopologyLimits
from keras_split.topology.models import ModelReader
from keras_split.topology.objects import COMMON
from keras_split.topology.ordering import check_order
from keras_split.topology.parts import Part
from keras_split.topology.plain import plain_copy
from keras_split.topology.values import Value

_NO_SENSE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Sizes = tuple[int | None, ...]
_SHOWN_OPTIONS = words(
    "units filters num_heads key_dim input_dim output_dim kernel_size pool_size size strides rate activation "
    "padding dilation_rate axis target_shape height width return_sequences merge_mode"
)


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a topology, for display.

    Args:
        path: Names from the outermost model down, joined by `/`.
        kind: Class name.
        options: The telling ones, in brief.
        shapes: Of its outputs at the first call; empty for models and wrappers, whose layers have them.
        parameters: Values of its own weights.
        trainable: Whether these learn.
        is_custom: A class of the client's own.
    """

    path: str
    kind: str
    options: str
    shapes: tuple[Sizes, ...]
    parameters: int
    trainable: bool
    is_custom: bool


@dataclass(frozen=True)
class Topology:
    """A model config that is safe to hand to Keras.

    Args:
        text: The normalised config, as canonical JSON.
        digest: SHA-256 of it, in hex. Both sides compute the same from the same model.
        layers: Path and class of each layer, for display.
        summaries: More about each layer, for display.
        parameters: Values of all weights.
        activation_bytes: Upper bound of the layers' outputs, for one sample.
        outputs: Shapes of the outputs in Keras' order, the batch first; None where a size is open.
        exposed_masks: Inputs whose padding mask is among the outputs: the receiver sees which
            steps of them are padding.
    """

    text: str
    digest: str
    layers: tuple[tuple[str, str], ...]
    summaries: tuple[LayerSummary, ...]
    parameters: int
    activation_bytes: int
    outputs: tuple[Sizes, ...]
    exposed_masks: tuple[str, ...]

    @property
    def config(self) -> dict[str, Any]:
        """A copy of the normalised config; Keras takes apart what it is given."""
        return json.loads(self.text)


def validate(
    config: object,
    *,
    limits: TopologyLimits | None = None,
    custom_layers: Mapping[str, type] | None = None,
    calls: Sequence[Sequence[int]] | None = None,
    frozen: Collection[str] = (),
) -> Topology:
    """Walks a serialised model that came from someone else.

    What it returns holds nothing but layers, operations and options from closed lists, fits the
    limits, has no seeds, no compile settings and no built shapes, and hands no input to an output
    without a layer that mixes it (see `TopologyLimits.mixing`).

    Args:
        config: What `keras.saving.serialize_keras_object(model)` gives for a Functional or
            Sequential model, as objects or read back from JSON.
        limits: Ceilings.
        custom_layers: The client's own layer classes, by the name under which it registered them
            with `keras.saving.register_keras_serializable`, for example `"mine>Attention"`. They
            count as mixing if their attribute `mixes_inputs` is true, and the sizes that the
            config declares for their outputs are believed.
        calls: The order in which the model is to make its calls; None for the one that Keras gives it.
        frozen: Names of layers and weights that are not trained, besides what the config says.

    Raises:
        TopologyError: Something is refused; the text names the layer, the option and what is
            allowed.
    """
    limits = limits or TopologyLimits()
    try:
        model = ModelReader(limits, custom_layers or {}, frozen).model(plain_copy(config, limits))
        evaluation = Evaluation(model, limits)
        exposed = _exposed_masks(evaluation.outputs, limits)
        if calls is not None:
            _check_calls(calls, model)
    except _NO_SENSE as error:
        # The rules read what they expect; a config that lacks it is no model that Keras has written.
        raise TopologyError(
            f"The topology makes no sense to the validator ({type(error).__name__})."
        ) from None
    return Topology(
        text=json.dumps(model.serialised, sort_keys=True, separators=(",", ":"), allow_nan=False),
        digest=digest_of(model.serialised),
        layers=tuple((part.path, part.kind) for part in _inside(model)),
        summaries=tuple(_summary(part, evaluation.ran.get(part)) for part in _inside(model)),
        parameters=evaluation.meter.parameters,
        activation_bytes=evaluation.meter.activation_bytes,
        outputs=tuple(map(_sizes, leaves(evaluation.outputs, Value))),
        exposed_masks=exposed,
    )


def _check_calls(calls: Sequence[Sequence[int]], model: Part) -> None:
    if model.graph is None:
        return
    parts = model.graph.parts
    inputs = frozenset(name for name, part in parts.items() if part.kind == "InputLayer")
    try:
        check_order(calls, {name: model.graph.calls.get(name, ()) for name in parts}, inputs)
    except Refusal as refusal:
        raise model.refuse(refusal) from None


def _sizes(value: Value) -> Sizes:
    return tuple(dim.size if dim.known else None for dim in value.shape)


def _summary(part: Part, ran: tuple[tuple[Value, ...], int] | None) -> LayerSummary:
    values, parameters = ran or ((), 0)
    return LayerSummary(
        path=part.path,
        kind=part.kind,
        options=_in_brief(part),
        shapes=tuple(map(_sizes, values)),
        parameters=parameters,
        trainable=part.trainable,
        is_custom=part.is_custom,
    )


def _in_brief(part: Part) -> str:
    names = [name for name in part.options if name not in COMMON] if part.is_custom else _SHOWN_OPTIONS
    shown = {name: part.options[name] for name in names if part.options.get(name) not in (None, False)}
    plain = {name: each for name, each in shown.items() if type(each) in (str, int, float, bool, list)}
    return ", ".join(f"{name}={_number(each)}" for name, each in plain.items())


def _number(value: Any) -> str:
    """A window of `[3, 3]` as `3x3`."""
    if isinstance(value, list) and value and all(type(each) is int for each in value):
        return "x".join(map(str, value))
    return reprlib.repr(value) if isinstance(value, list) else str(value)


def _inside(model: Part) -> list[Part]:
    return [part for part in model.all() if part is not model]


def _exposed_masks(outputs: Any, limits: TopologyLimits) -> tuple[str, ...]:
    """Inputs whose masks leave.

    Raises:
        TopologyError: An output would carry raw data.
    """
    masks: set[str] = set()
    for at, output in enumerate(leaves(outputs, Value)):
        if output.trace.raw and limits.mixing != "none":
            raise TopologyError(_raw_output(at, sorted(output.trace.raw), limits))
        masks |= output.trace.masks
    return tuple(sorted(masks))


def _raw_output(at: int, names: list[str], limits: TopologyLimits) -> str:
    kind = "trainable layer" if limits.mixing == "trainable" else "layer"
    return (
        f"Output {at} of the topology would send the raw input {names[0]!r}. Every path from an "
        f"input to an output must pass a {kind} that mixes its inputs with weights of this client: "
        "a Dense, a convolution, an Embedding, a recurrent layer or a MultiHeadAttention."
    )
