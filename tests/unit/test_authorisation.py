"""Every call against every role, with contexts that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.errors import AuthenticationFailed, Refused
from keras_split.roles import ROLES, Caller, identity
from keras_split.transport import POLICY, SERVICE, caller, refuse
from keras_split.transport.authorisation import check_caller, check_request
from support.guarded import CALLS, MAY


class Context:
    """What a service gets from gRPC, as far as it is looked at."""

    def __init__(self, *uris: str, version: str | None = "TLSv1.3"):
        self._context = {"transport_security_type": [b"ssl"], "peer_uri": [uri.encode() for uri in uris]}
        if version:
            self._context["ssl_tls_version"] = [version.encode()]

    def auth_context(self) -> Any:
        return self._context


def full(call: str) -> str:
    return f"/{CALLS[call].name if call in CALLS else SERVICE}/{call}"


def check(context: Any, call: str) -> None:
    check_caller(context, full(call), POLICY)


def test_every_call_of_the_protocol_has_a_row() -> None:
    assert {full(call) for call in CALLS} == set(POLICY)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("call", CALLS)
def test_a_role_may_make_its_calls_and_no_others(call: str, role: str) -> None:
    context = Context(f"keras-split://{role}/a")
    if call in MAY[role]:
        check(context, call)
    else:
        with pytest.raises(Refused, match=f"its role is {role}, and trainer.* may"):
            check(context, call)


@pytest.mark.parametrize("role", ROLES)
def test_a_call_without_a_row_is_closed(role: str) -> None:
    with pytest.raises(Refused, match="nobody may"):
        check(Context(f"keras-split://{role}/a"), "Erase")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.1", "TLSv1", None])
def test_what_is_older_than_tls_13_or_does_not_say_is_refused(call: str, version: str | None) -> None:
    with pytest.raises(AuthenticationFailed, match=f"TLS 1.3.*version={version or 'unknown'}"):
        check(Context("keras-split://trainer/a", version=version), call)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "uris",
    [
        (),
        ("https://example/a",),
        ("keras-split://",),
        ("keras-split://trainer",),
        ("keras-split://trainer/",),
        ("keras-split://trainer/a/b",),
        ("keras-split://trainer/a b",),
        ("keras-split://owner/a",),
        ("KERAS-SPLIT://trainer/a",),
        ("keras-split://trainer/a", "keras-split://inference/a"),
        ("keras-split://trainer/a\n",),
    ],
    ids=repr,
)
def test_a_certificate_that_names_no_one_party_is_refused(call: str, uris: tuple[str, ...]) -> None:
    context: Any = Context(*uris)
    assert caller(context) is None
    with pytest.raises(AuthenticationFailed, match="keras-split://<role>/<name>"):
        check(context, call)


def test_the_caller_is_who_the_certificate_names() -> None:
    context: Any = Context("https://example/other", "keras-split://trainer/hospital-a")
    assert caller(context) == Caller("trainer", "hospital-a")


def test_certificates_of_the_first_versions_are_trainers() -> None:
    assert identity(["keras-split://client/hospital"]) == Caller("trainer", "hospital")


@pytest.mark.parametrize(
    ("call", "request_", "inference_may"),
    [
        ("Prepare", pb.PrepareRequest(mode=pb.PREDICT), True),
        ("Prepare", pb.PrepareRequest(mode=pb.TEST), True),
        ("Prepare", pb.PrepareRequest(mode=pb.TRAIN), False),
        ("Prepare", pb.PrepareRequest(), False),
        ("Join", pb.JoinRequest(), True),
        ("Join", pb.JoinRequest(settings_json="{}"), False),
    ],
)
def test_who_only_predicts_prepares_and_changes_nothing_else(
    call: str, request_: Any, inference_may: bool
) -> None:
    trainer: Any = Context("keras-split://trainer/a")
    check_request(trainer, full(call), POLICY, request_)
    context: Any = Context("keras-split://inference/a")
    if inference_may:
        check_request(context, full(call), POLICY, request_)
    else:
        with pytest.raises(Refused, match="its role is inference"):
            check_request(context, full(call), POLICY, request_)


def test_a_refusal_is_told_whatever_a_peer_has_called_things() -> None:
    told: list[str] = []

    class Call:
        def set_trailing_metadata(self, metadata: Any) -> None:
            pass

        def abort(self, code: Any, details: str) -> None:
            told.append(details)

    call: Any = Call()
    refuse(call, Refused("No model '\ud800'."))
    assert told == ["No model '?'."]


@pytest.mark.parametrize("call", sorted(MAY["trainer"]))
def test_a_trainer_who_is_no_member_of_the_run_may_call_nothing(call: str) -> None:
    members = ("a", "b")
    check_caller(Context("keras-split://trainer/a"), full(call), POLICY, members)
    with pytest.raises(Refused, match="c is no member of this run"):
        check_caller(Context("keras-split://trainer/c"), full(call), POLICY, members)


def test_those_who_only_predict_need_no_membership() -> None:
    check_caller(Context("keras-split://inference/c"), full("Infer"), POLICY, ("a", "b"))
