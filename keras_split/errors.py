"""The exceptions of keras_split, and how they cross gRPC.

```
SplitError
├── ConnectionLost        the peer cannot be reached, or went away
├── DeadlineExceeded      the peer is there, and did not answer in time
├── AuthenticationFailed  TLS refused: unknown, expired or missing certificate
├── Refused               the peer understood, and says no
│   ├── TrainerBusy       another client holds the turn
│   └── SettingsRefused   the server's compile settings hold
├── VersionMismatch       the halves are at different updates, or speak different versions
├── TopologyError         a model or cut that must not be run
├── ProtocolError         bytes that mean nothing: shape, dtype, size, order
├── NotFinite             NaN or infinity where the server refuses it
└── RemoteFailure         the peer failed while it computed
```

Arguments that are wrong where they are given raise `ValueError`, not these. No text of an error holds
a key, a tensor's contents or a label.
"""

from __future__ import annotations

import grpc


class SplitError(RuntimeError):
    """Base of everything that goes wrong between the parties of a split model."""

    status = grpc.StatusCode.UNKNOWN


class ConnectionLost(SplitError):
    """The peer cannot be reached, or the connection to it broke."""

    status = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(SplitError):
    """The peer did not answer within the deadline."""

    status = grpc.StatusCode.DEADLINE_EXCEEDED


class AuthenticationFailed(SplitError):
    """TLS could not be agreed: a certificate is missing, expired, or of another authority."""

    status = grpc.StatusCode.UNAUTHENTICATED


class Refused(SplitError):
    """The peer understood the request, and refuses it."""

    status = grpc.StatusCode.PERMISSION_DENIED


class TrainerBusy(Refused):
    """Another client trains now, and there is one turn at a time."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class SettingsRefused(Refused):
    """The client sent compile settings to a server that keeps its own."""

    status = grpc.StatusCode.ALREADY_EXISTS


class VersionMismatch(SplitError):
    """The two halves are not at the same update, or the programs are not of the same version."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class TopologyError(SplitError):
    """A topology that this side must not run, or not the one that both sides agreed on."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class ProtocolError(SplitError):
    """A message that breaks the protocol: its order, shape, dtype or size."""

    status = grpc.StatusCode.OUT_OF_RANGE


class NotFinite(SplitError):
    """A gradient or a loss holds NaN or infinity, and the server refuses such steps."""

    status = grpc.StatusCode.DATA_LOSS


class RemoteFailure(SplitError):
    """The peer raised an error of its own while it computed."""

    status = grpc.StatusCode.INTERNAL


_BY_STATUS: dict[grpc.StatusCode, type[SplitError]] = {
    kind.status: kind
    for kind in (
        ConnectionLost,
        DeadlineExceeded,
        AuthenticationFailed,
        Refused,
        TrainerBusy,
        SettingsRefused,
        VersionMismatch,
        TopologyError,
        ProtocolError,
        NotFinite,
        RemoteFailure,
    )
}

# What BoringSSL and gRPC's core print when the handshake, not the network, said no.
_HANDSHAKE_WORDS = ("certificate", "handshake", "ssl", "tls")


def from_rpc(error: grpc.RpcError, target: str) -> SplitError:
    """Translates a gRPC failure into the exception whose text tells the user what to do.

    Args:
        error: What gRPC raised on this side.
        target: The `host:port` that was called, for the text.
    """
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return _unavailable(details, target)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(
            f"{target} did not answer within the deadline. Is it overloaded, or the line cut? "
            "Raise the `Timeouts` of this client if the work takes this long."
        )
    if code is grpc.StatusCode.CANCELLED:
        return ConnectionLost(f"The call to {target} was cancelled: the server is stopping.")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ProtocolError(f"{target} is not a keras_split server of this protocol version.")
    return _BY_STATUS.get(code, RemoteFailure)(f"{details} (server {target})")


def _unavailable(details: str, target: str) -> SplitError:
    lowered = details.lower()
    if any(word in lowered for word in _HANDSHAKE_WORDS):
        return AuthenticationFailed(
            f"TLS with {target} failed: {_reason(details)}. Check that both sides have certificates "
            "of the same authority, that none has expired, and that the name in the server's "
            "certificate is the one you connect to (`keras-split certs` makes a matching set)."
        )
    return ConnectionLost(
        f"No connection to {target}: {_reason(details)}. Check the address, that "
        "`keras-split serve` runs there, and that both sides use TLS or neither does."
    )


def _reason(details: str) -> str:
    """The last, most specific part of gRPC's nested description, on one line."""
    return " ".join(details.split())[-300:] or "the connection was closed"
