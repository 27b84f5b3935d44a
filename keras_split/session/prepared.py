"""An exchange that both sides have compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
from keras import tree

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import (
    Limits,
    flatten_structure,
    from_wire_dtype,
    to_wire_dtype,
    unflatten_structure,
)
from keras_split.errors import ProtocolError
from keras_split.segment import MEASURES, Input, Output, Shadow, Shape, known_name

# Of shapes; how much may be sent is for each session to say.
_LIMITS = Limits()
_MODES = {"train": pb.TRAIN, "test": pb.TEST, "predict": pb.PREDICT}
_INPUT_ROLES = {
    "smashed": pb.SMASHED,
    "logits": pb.LOGITS,
    "label": pb.LABEL,
    "sample_weight": pb.SAMPLE_WEIGHT,
}
_OUTPUT_ROLES = {
    pb.OUTPUT: "output",
    pb.LOGITS: "logits",
    pb.MASK: "mask",
    pb.LOSS_TERM: "loss_term",
    pb.CUT_GRADIENT: "cut_gradient",
    pb.PLACES: "places",
    pb.SQUARED_NORMS: "squared_norms",
    pb.FINITE: "finite",
}
_SECOND_HALF = {"cut_gradient", *MEASURES}


@dataclass(frozen=True)
class Exchange:
    """What a client wants to exchange.

    Args:
        mode: `"train"`, `"test"` or `"predict"`.
        smashed: The frontier tensors, as traced, and behind them the logits of those that are outputs.
        labels: Nest of label specs; None outside training.
        sample_weight: Nest of sample-weight specs.
        wants_cut_gradients: Whether anything in the head is trained.
        graded: In label-free training, for each gradient that will be sent the place of its output.
        shadow: Likewise, the operations behind the outputs.
    """

    mode: str
    smashed: tuple[Input, ...]
    labels: Any = None
    sample_weight: Any = None
    wants_cut_gradients: bool = False
    graded: tuple[int, ...] = ()
    shadow: Shadow = Shadow()

    def shapes(self) -> list[Shape]:
        """Of all tensors, in order."""
        return [each.shape for each in tree.flatten(self._nests()) if each is not None]

    def with_shapes(self, shapes: Sequence[Shape]) -> Exchange:
        """The same with other shapes, in that order."""
        others = iter(shapes)
        smashed, labels, weights = tree.map_structure(
            lambda each: None if each is None else replace(each, shape=next(others)), self._nests()
        )
        return replace(self, smashed=tuple(smashed), labels=labels, sample_weight=weights)

    def key(self) -> bytes:
        """Equal for equal ones."""
        return self.request("", "").SerializeToString(deterministic=True)

    def _nests(self) -> tuple[Any, ...]:
        return list(self.smashed), self.labels, self.sample_weight

    def request(self, model: str, digest: str) -> pb.PrepareRequest:
        """As the wire has it."""
        labels, labels_structure = flatten_structure(self.labels)
        weights, weights_structure = flatten_structure(self.sample_weight)
        return pb.PrepareRequest(
            model=model,
            topology_digest=digest,
            mode=_MODES[self.mode],
            inputs=[_write_input(each) for each in (*self.smashed, *labels, *weights)],
            labels_structure=labels_structure,
            sample_weight_structure=weights_structure,
            wants_cut_gradients=self.wants_cut_gradients,
            graded=self.graded,
            shadow=self.shadow.to_text() if self.graded else "",
        )


@dataclass(frozen=True)
class Prepared:
    """What a client gets in such an exchange.

    Args:
        signature: The server's name for it.
        outputs: The tensors of a reply, in order.
        structure: How the outputs among them nest: a nest of their places.
        shadow: The server's operations.
        exchange: What it was prepared from, for a server that has been restarted since.
    """

    signature: str
    outputs: tuple[Output, ...]
    structure: Any
    shadow: Shadow
    exchange: Exchange

    @classmethod
    def of(cls, reply: pb.PrepareReply, exchange: Exchange) -> Prepared:
        """From the wire.

        Raises:
            ProtocolError: Such replies can't belong to such requests.
        """
        outputs = tuple(_read_output(spec) for spec in reply.outputs)
        _check_cut_gradients(outputs, exchange.smashed)
        _check_measures(outputs)
        count = _count_outputs(outputs)
        structure = unflatten_structure(range(count), reply.outputs_structure)
        leaves = sum(each.role == "cut_gradient" for each in outputs)
        shadow = Shadow.from_text(reply.shadow, len(exchange.smashed), leaves)
        return cls(reply.signature, outputs, structure, shadow, exchange)

    @property
    def forwarded(self) -> tuple[Output, ...]:
        """What the first half of a label-free step brings."""
        return tuple(each for each in self.outputs if each.role not in _SECOND_HALF)

    @property
    def backward(self) -> tuple[Output, ...]:
        """What its second half brings."""
        return tuple(each for each in self.outputs if each.role in _SECOND_HALF)

    @property
    def measures(self) -> tuple[Output, ...]:
        """What the server measures of its gradients, and waits for of the client's before it updates."""
        return tuple(each for each in self.outputs if each.role in MEASURES)

    def check(self, values: Sequence[np.ndarray], target: str, wanted: Sequence[Output]) -> list[np.ndarray]:
        """Returns the values if they are what was agreed on.

        Raises:
            ProtocolError: Another number, shape or dtype.
        """
        if len(values) != len(wanted):
            raise ProtocolError(f"{target} sent {len(values)} tensors in place of {len(wanted)}.")
        for value, spec in zip(values, wanted, strict=True):
            if value.dtype.name != spec.dtype or not _fits(value.shape, spec.shape):
                raise ProtocolError(
                    f"{target} sent a {spec.role} of {value.dtype}{list(value.shape)} where "
                    f"{spec.dtype}{list(spec.shape or ())} was agreed on. Do both sides run the same "
                    "version, and is the address right?"
                )
        return list(values)


def _count_outputs(outputs: tuple[Output, ...]) -> int:
    """How many outputs there are, each with a place of its own, and notes on these alone."""
    places = [each.index for each in outputs if each.role == "output"]
    if sorted(places) != list(range(len(places))):
        raise ProtocolError("The server announces outputs of the model that are not numbered from 0.")
    if any(each.role in ("logits", "mask") and each.index not in places for each in outputs):
        raise ProtocolError("The server announces logits or a mask of an output that it does not announce.")
    return len(places)


def _check_cut_gradients(outputs: tuple[Output, ...], smashed: tuple[Input, ...]) -> None:
    for each in outputs:
        if each.role == "cut_gradient" and not any(
            _belongs(each, tensor) for tensor in smashed[each.index : each.index + 1]
        ):
            raise ProtocolError(
                f"The server announces a cut gradient of {each.dtype}{list(each.shape or ())} that "
                "fits no frontier tensor. Do both sides run the same version?"
            )


def _check_measures(outputs: tuple[Output, ...]) -> None:
    """They come last, each once."""
    roles = [each.role for each in outputs if each.role in MEASURES]
    for each, role in zip(outputs[len(outputs) - len(roles) :], roles, strict=True):
        is_flat = len(each.shape or ()) == (role != "finite")
        if each.role != role or each.dtype != MEASURES[role] or not is_flat or roles.count(role) > 1:
            raise ProtocolError(
                "The server announces what it measures of its gradients in a way that is none."
            )


def _belongs(gradient: Output, tensor: Input) -> bool:
    ours, theirs = tensor.shape or (), gradient.shape or ()
    return (
        gradient.dtype == tensor.dtype
        and len(ours) == len(theirs)
        and all(None in pair or len(set(pair)) == 1 for pair in zip(ours, theirs, strict=True))
    )


def _fits(shape: tuple[int, ...], spec: Any) -> bool:
    return len(shape) == len(spec) and all(
        wanted in (None, size) for size, wanted in zip(shape, spec, strict=True)
    )


def _write_input(each: Input) -> pb.TensorSpec:
    if each.shape is None:
        raise ValueError(
            "A tensor of unknown rank cannot cross the cut. Give the data set's elements a shape, for "
            f"instance with `tf.ensure_shape`. Received: a {each.role} of unknown rank."
        )
    dtype: Any = ml_dtypes.bfloat16 if each.dtype == "bfloat16" else each.dtype
    return pb.TensorSpec(
        role=_INPUT_ROLES[each.role],
        dtype=to_wire_dtype(dtype),
        dims=[-1 if size is None else size for size in each.shape],
        index=each.index,
        name=each.name,
        tie=each.tie,
    )


def _read_output(spec: pb.TensorSpec) -> Output:
    if spec.role not in _OUTPUT_ROLES:
        raise ProtocolError("The server describes a tensor without a role.")
    if len(spec.dims) > _LIMITS.max_rank or any(
        size == 0 or not -1 <= size <= _LIMITS.max_dimension for size in spec.dims
    ):
        raise ProtocolError(f"The server announces a tensor of shape {list(spec.dims[:9])}.")
    shape = tuple(None if size == -1 else size for size in spec.dims)
    dtype = from_wire_dtype(spec.dtype).name
    role, name = _OUTPUT_ROLES[spec.role], known_name(spec.name)
    return Output(role, shape, dtype, spec.index, tuple(spec.rank), name, spec.tie)
