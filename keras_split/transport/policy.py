"""Which role may make which call: a table, and nothing else.

A call that has no row here is refused to everybody who comes with a certificate, so that a new call is
closed until somebody has thought about it.

| call | trainer | inference | store, server, peer |
| --- | --- | --- | --- |
| Join, Status | yes | yes, without compile settings | no |
| Prepare | yes | not for training | no |
| Infer | yes | yes | no |
| Train, Turn, Host | yes | no | no |
| Put, Get | yes | no | no |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.roles import INFERENCE, ROLES, TRAINER


def _always(request: Any) -> bool:
    del request
    return True


class Row(NamedTuple):
    """Who may make a call.

    Args:
        roles: Those who may.
        limited: Those of them who may make it with some requests only.
        allows: Which requests these are.
        what: These requests in words, for the text of a refusal.
    """

    roles: frozenset[str]
    limited: frozenset[str] = frozenset()
    allows: Callable[[Any], bool] = _always
    what: str = ""


Policy = Mapping[str, Row]


def _brings_no_settings(request: pb.JoinRequest) -> bool:
    return not request.settings_json


def _is_inference(request: pb.PrepareRequest) -> bool:
    return request.mode in (pb.TEST, pb.PREDICT)


_TRAINER = frozenset({TRAINER})
_PREDICTS = frozenset({INFERENCE})
_BOTH = _TRAINER | _PREDICTS
_SPLIT, _STORE = "/keras_split.v1.Split/", "/keras_split.v1.Store/"

POLICY: Policy = {
    _SPLIT + "Join": Row(_BOTH, _PREDICTS, _brings_no_settings, "without compile settings"),
    _SPLIT + "Prepare": Row(_BOTH, _PREDICTS, _is_inference, "for evaluation and prediction"),
    _SPLIT + "Status": Row(_BOTH),
    _SPLIT + "Infer": Row(_BOTH),
    _SPLIT + "Train": Row(_TRAINER),
    _SPLIT + "Turn": Row(_TRAINER),
    _SPLIT + "Host": Row(_TRAINER),
    _STORE + "Put": Row(_TRAINER),
    _STORE + "Get": Row(_TRAINER),
}

# Open to all who have a certificate of the authority: they tell nothing of the model.
APART = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")


def may_call(policy: Policy, call: str, role: str) -> bool:
    """Whether a role may make a call at all."""
    return call in policy and role in policy[call].roles


def may_send(policy: Policy, call: str, role: str, request: Any) -> bool:
    """Whether a role that may make a call may make it with this request."""
    row = policy[call]
    return role not in row.limited or row.allows(request)


def who_may(policy: Policy, call: str) -> str:
    """For the text of a refusal."""
    roles = policy[call].roles if call in policy else frozenset()
    return " and ".join(role for role in ROLES if role in roles) or "nobody"
