"""Who calls, and whether they may."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import grpc

from keras_split.errors import ERROR_METADATA, AuthenticationFailed, Refused, SplitError
from keras_split.roles import TRAINER, Caller, identity
from keras_split.transport.policy import Policy, may_call, may_send, who_may


def caller(context: grpc.ServicerContext) -> Caller | None:
    """Who makes a call, by the certificate.

    Returns:
        None without TLS, and for a certificate that names no party or more than one.
    """
    uris = context.auth_context().get("peer_uri", ())
    return identity(uri.decode("utf-8", "replace") for uri in uris)


def check_caller(
    context: grpc.ServicerContext, call: str, policy: Policy, members: Collection[str] | None = None
) -> None:
    """Raises unless the one who makes a call over TLS may make it.

    Args:
        context: gRPC's.
        call: Its full name, `/package.Service/Method`.
        policy: The table.
        members: Names of the data owners of a run; None where every trainer of the authority may train.

    Raises:
        AuthenticationFailed: The connection is older than TLS 1.3, or its certificate names no party.
        Refused: The party's role may not make this call, or it is a data owner of no concern to this run.
    """
    authentication = context.auth_context()
    _check_version(authentication.get("ssl_tls_version", ()))
    found = caller(context)
    if found is None:
        raise AuthenticationFailed(
            "The certificate names no party. Among its alternative names it needs one URI "
            "`keras-split://<role>/<name>`, such as `keras-split://trainer/hospital`; "
            "`keras-split certs` makes such certificates for development."
        )
    if not may_call(policy, call, found.role):
        raise Refused(
            f"{found} may not call {_short(call)}: its role is {found.role}, and {who_may(policy, call)} "
            "may. Use the certificate of a party with such a role."
        )
    if members is not None and found.role == TRAINER and found.name not in members:
        raise Refused(
            f"{found} is no member of this run. Ask an owner of the roster to add it (`keras-split roster "
            "add`), and have the server started with the new roster."
        )


def check_request(context: grpc.ServicerContext, call: str, policy: Policy, request: Any) -> None:
    """Raises `Refused` if the caller's role may not make a call with this request."""
    found = caller(context)
    if found is not None and not may_send(policy, call, found.role, request):
        raise Refused(
            f"{found} may call {_short(call)} only {policy[call].what}: its role is {found.role}. For more, "
            "use a trainer's certificate."
        )


def refuse(context: grpc.ServicerContext, error: SplitError) -> None:
    """Ends a call with an error that the other side raises again. Does not return."""
    context.set_trailing_metadata(((ERROR_METADATA, type(error).__name__),))
    # A name of the client's choice may hold half a character, which no text on the wire can.
    context.abort(error.status, str(error).encode("utf-8", "replace").decode("utf-8"))


def _check_version(versions: Any) -> None:
    # Refused if it is told and old, and if it is not told (gRPC before 1.85): then nobody knows.
    if list(versions) != [b"TLSv1.3"]:
        raise AuthenticationFailed(
            "This connection is older than TLS 1.3, which is the only version that is served. Use a "
            "client, and a proxy if there is one, that speaks it. Received: "
            f"version={b', '.join(versions).decode('ascii', 'replace') or 'unknown'}."
        )


def _short(call: str) -> str:
    return call.rpartition("/")[2]
