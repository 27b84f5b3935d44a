"""Specs of the wire to signatures of a segment, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import (
    Limits,
    flatten_structure,
    from_wire_dtype,
    to_wire_dtype,
    unflatten_structure,
)
from keras_split.digest import digest_of
from keras_split.errors import ProtocolError
from keras_split.segment import Input, Shadow, Signature, TracedInference, TracedStep, known_name

_INPUT_ROLES = {
    pb.SMASHED: "smashed",
    pb.LOGITS: "logits",
    pb.LABEL: "label",
    pb.SAMPLE_WEIGHT: "sample_weight",
}
_OUTPUT_ROLES = {
    "output": pb.OUTPUT,
    "logits": pb.LOGITS,
    "mask": pb.MASK,
    "loss_term": pb.LOSS_TERM,
    "cut_gradient": pb.CUT_GRADIENT,
    "places": pb.PLACES,
    "squared_norms": pb.SQUARED_NORMS,
    "finite": pb.FINITE,
}


def signature_name(request: pb.PrepareRequest) -> str:
    """The same for the same request, whichever server process is asked, and by which name of the model."""
    anonymous = pb.PrepareRequest()
    anonymous.CopyFrom(request)
    anonymous.model = ""
    return digest_of(anonymous.SerializeToString(deterministic=True).hex())[:32]


def read_signature(request: pb.PrepareRequest, topology: dict[str, Any], limits: Limits) -> Signature:
    """Checks a client's specs against the frontier, and against what it gets.

    Raises:
        ProtocolError: They can't be this model's.
    """
    frontier = topology["frontier"]
    if len(request.inputs) > limits.max_tensors:
        raise ProtocolError(f"{len(request.inputs)} tensors in a request; at most {limits.max_tensors}.")
    inputs = tuple(_read_input(spec, limits) for spec in request.inputs)
    smashed = [each for each in inputs if each.role == "smashed"]
    if len(smashed) != len(frontier):
        raise ProtocolError(f"{len(smashed)} frontier tensors; this model has {len(frontier)}.")
    for given, expected in zip(smashed, frontier, strict=True):
        _check_frontier(given, expected)
    _check_logits([each for each in inputs if each.role == "logits"], frontier)
    _check_mode(inputs, request.graded, topology)
    return Signature(
        inputs,
        labels=lambda flat: _nested(flat, request.labels_structure),
        sample_weight=lambda flat: _nested(flat, request.sample_weight_structure),
        wants_cut_gradients=request.wants_cut_gradients,
        graded=tuple(request.graded),
        shadow=Shadow.from_text(request.shadow, _returned(topology), len(request.graded)),
    )


def write_outputs(traced: TracedStep | TracedInference, name: str) -> pb.PrepareReply:
    """Tells a client what its replies will hold."""
    return pb.PrepareReply(
        signature=name,
        outputs_structure=flatten_structure(traced.structure)[1],
        shadow=traced.shadow.to_text(),
        outputs=[
            pb.TensorSpec(
                role=_OUTPUT_ROLES[each.role],
                dtype=to_wire_dtype(_numpy_dtype(each.dtype)),
                dims=[-1 if size is None else size for size in each.shape or ()],
                index=each.index,
                rank=each.rank,
                name=each.name,
                tie=each.tie,
            )
            for each in traced.outputs
        ],
    )


def check_values(values: list[np.ndarray], signature: Signature) -> None:
    """Raises `ProtocolError` unless the tensors fit the signature."""
    if len(values) != len(signature.inputs):
        raise ProtocolError(f"{len(values)} tensors; the signature has {len(signature.inputs)}.")
    for value, spec in zip(values, signature.inputs, strict=True):
        fits = spec.shape is None or (
            len(spec.shape) == value.ndim
            and all(size in (None, given) for size, given in zip(spec.shape, value.shape, strict=True))
        )
        if not fits or value.dtype.name != spec.dtype:
            raise ProtocolError(
                f"A {spec.role} tensor is {value.dtype}{list(value.shape)}; the signature says "
                f"{spec.dtype}{list(spec.shape or ())}."
            )
    if len({len(value) for value in values if value.ndim}) > 1:
        raise ProtocolError("The tensors of a batch differ in their number of rows.")


def _read_input(spec: pb.TensorSpec, limits: Limits) -> Input:
    if spec.role not in _INPUT_ROLES or len(spec.dims) > limits.max_rank:
        raise ProtocolError("A tensor in the request has no role or too many dimensions.")
    if any(size == 0 or size < -1 or size > limits.max_dimension for size in spec.dims):
        raise ProtocolError(f"A tensor of shape {list(spec.dims)} cannot be prepared for.")
    shape = tuple(None if size == -1 else size for size in spec.dims)
    name = known_name(spec.name)
    return Input(_INPUT_ROLES[spec.role], shape, from_wire_dtype(spec.dtype).name, spec.index, name, spec.tie)


def _check_logits(logits: list[Input], frontier: list[dict[str, Any]]) -> None:
    """They belong to frontier tensors that are outputs of the model, each to another one."""
    outputs = {at for at, each in enumerate(frontier) if each["is_output"]}
    owners = [each.index for each in logits]
    if not outputs.issuperset(owners) or len(set(owners)) != len(owners):
        raise ProtocolError("Logits were announced for what is no output of this model at the cut.")
    for each in logits:
        _check_frontier(each, frontier[each.index])


def _check_mode(inputs: tuple[Input, ...], graded: Sequence[int], topology: dict[str, Any]) -> None:
    """Labels belong to label sharing, gradients of outputs to the other mode."""
    returned = topology["second_frontier"][: _returned(topology)]
    if topology["second_cut"] and len(inputs) != len(topology["frontier"]):
        raise ProtocolError("Labels were announced to a server that must not see them.")
    floats = {at for at, each in enumerate(returned) if "float" in each["dtype"]}
    if not floats.issuperset(graded):
        raise ProtocolError("Gradients were announced for outputs that this model's body does not have.")


def _returned(topology: dict[str, Any]) -> int:
    """How many of the body's tensors the tail reads."""
    return len(topology["second_frontier"]) - topology["kept"]


def _check_frontier(given: Input, expected: dict[str, Any]) -> None:
    shape = given.shape or ()
    fits = len(shape) == len(expected["shape"]) and all(
        None in (size, wanted) or size == wanted
        for size, wanted in zip(shape, expected["shape"], strict=True)
    )
    if not fits or given.dtype != expected["dtype"]:
        raise ProtocolError(
            f"A frontier tensor is {given.dtype}{list(shape)}; the cut has "
            f"{expected['dtype']}{expected['shape']}."
        )


def _nested(flat: list[Any], text: str) -> Any:
    return unflatten_structure(flat, text) if text else None


def _numpy_dtype(name: str) -> Any:
    return ml_dtypes.bfloat16 if name == "bfloat16" else np.dtype(name)
