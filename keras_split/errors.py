"""The exceptions of keras_split, and how they cross gRPC.

```
SplitError
├── ConnectionLost        the peer cannot be reached, or went away
├── DeadlineExceeded      the peer is there, and did not answer in time
├── AuthenticationFailed  TLS refused: unknown, expired or missing certificate
├── Refused               the peer understood, and says no
│   ├── TrainerBusy       another client holds the turn
│   ├── ServerBusy        as many calls are in flight as there may be
│   ├── SettingsRefused   the server's compile settings hold
│   └── StoreFull         there is no room for another blob
├── BlobMissing           a blob is not, or no longer, where it was looked for
├── VersionMismatch       the halves are at different updates, or speak different versions
│   └── TurnLost          another has the turn now, or had it since
├── TopologyError         a model or cut that must not be run
│   └── NotExact          trained split, it would not have the bits of the whole model
├── ProtocolError         bytes that mean nothing: shape, dtype, size, order
├── NotFinite             NaN or infinity where it is refused
├── EnvelopeRefused       sealed client state that this side must not use
│   ├── RosterRefused     a roster that is forged, old or unsigned, or not the envelope's
│   ├── NotAMember        not in this epoch of the roster
│   ├── SignatureRefused  missing, or not the sender's
│   ├── RollbackDetected  history ends before what was seen
│   ├── ReplayDetected    an old envelope as a new one
│   ├── ForkDetected      two histories of one run
│   ├── MissingLinks      history with a gap
│   ├── ForeignEnvelope   of another run, topology or settings
│   ├── DamagedEnvelope   bytes that are not what was sealed
│   └── WrongRecipients   sealed to others than the roster's members
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


class ServerBusy(Refused):
    """As many calls are in flight as there may be at the same time, of all clients or of this one."""


class SettingsRefused(Refused):
    """The client sent compile settings to a server that keeps its own."""

    status = grpc.StatusCode.ALREADY_EXISTS


class StoreFull(Refused):
    """A store has no room for another blob; those that it has stay whole."""


class BlobMissing(SplitError):
    """A blob is not, or no longer, where it was looked for."""

    status = grpc.StatusCode.NOT_FOUND


class VersionMismatch(SplitError):
    """The two halves are not at the same update, or the programs are not of the same version."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class TurnLost(VersionMismatch):
    """The turn in which this was to happen is over; what it had not committed is taken back."""


class TopologyError(SplitError):
    """A topology that this side must not run, or not the one that both sides agreed on."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class NotExact(TopologyError):
    """Trained split at this cut, a model would get other bits than trained whole."""


class ProtocolError(SplitError):
    """A message that breaks the protocol: its order, shape, dtype or size."""

    status = grpc.StatusCode.OUT_OF_RANGE


class NotFinite(SplitError):
    """A step that the server refuses, or a state that would be handed over, holds NaN or infinity."""

    status = grpc.StatusCode.DATA_LOSS


class EnvelopeRefused(SplitError):
    """Sealed client state, or what belongs to it, that this side must not use."""

    status = grpc.StatusCode.ABORTED


class RosterRefused(EnvelopeRefused):
    """A roster that is forged, older than a known one or lacks signatures, or not the envelope's."""


class NotAMember(EnvelopeRefused):
    """A sender or receiver that is not in this epoch of the roster, such as a removed member."""


class SignatureRefused(EnvelopeRefused):
    """A signature that is missing, or is not that of the sender named."""


class RollbackDetected(EnvelopeRefused):
    """The history shown ends before what this member has already seen."""


class ReplayDetected(EnvelopeRefused):
    """An old envelope is shown as a new one."""


class ForkDetected(EnvelopeRefused):
    """There are two histories of one run."""


class MissingLinks(EnvelopeRefused):
    """Links between what this member has seen and what it is shown were left out."""


class ForeignEnvelope(EnvelopeRefused):
    """An envelope of another run, of another topology or of other compile settings."""


class DamagedEnvelope(EnvelopeRefused):
    """Bytes that are not what the sender sealed: changed, cut off, extended or in another order."""


class WrongRecipients(EnvelopeRefused):
    """An envelope that is sealed to others than the members of its roster."""


class RemoteFailure(SplitError):
    """The peer raised an error of its own while it computed."""

    status = grpc.StatusCode.INTERNAL


# A status code alone does not tell: gRPC uses the same ones for failures of its own.
ERROR_METADATA = "keras-split-error"

_BY_NAME: dict[str, type[SplitError]] = {
    kind.__name__: kind
    for kind in (
        ConnectionLost,
        DeadlineExceeded,
        AuthenticationFailed,
        Refused,
        TrainerBusy,
        ServerBusy,
        SettingsRefused,
        TurnLost,
        StoreFull,
        BlobMissing,
        VersionMismatch,
        TopologyError,
        NotExact,
        ProtocolError,
        NotFinite,
        EnvelopeRefused,
        RosterRefused,
        NotAMember,
        SignatureRefused,
        RollbackDetected,
        ReplayDetected,
        ForkDetected,
        MissingLinks,
        ForeignEnvelope,
        DamagedEnvelope,
        WrongRecipients,
        RemoteFailure,
    )
}

# What gRPC and BoringSSL print when the handshake, and not the network, said no.
_TLS_WORDS = ("ssl_error", "certificate", "hostname verification")


def from_rpc(error: grpc.RpcError, target: str) -> SplitError:
    """Translates a gRPC failure into the exception whose text tells the user what to do.

    Args:
        error: What gRPC raised on this side.
        target: The `host:port` that was called, for the text.
    """
    details = " ".join((error.details() or "").split())
    named = _BY_NAME.get(str(dict(error.trailing_metadata() or ()).get(ERROR_METADATA)))
    if named is not None:
        return named(f"{details} (server {target})")
    return _of_grpc(error.code(), details, target)


def _of_grpc(code: grpc.StatusCode, details: str, target: str) -> SplitError:
    """For failures that gRPC itself reports, here or there."""
    if code is grpc.StatusCode.UNAVAILABLE:
        return _unavailable(details, target)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(
            f"{target} did not answer within the deadline. Is it overloaded, or the line cut? "
            "Raise the `Timeouts` of this client if the work takes this long."
        )
    if code is grpc.StatusCode.CANCELLED or "RST_STREAM" in details:
        return ConnectionLost(
            f"The call to {target} was cancelled: the server is stopping, or has waited too long for what "
            "this side sends."
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ProtocolError(f"{target} is not a keras_split server of this protocol version.")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Refused(
            f"{target} is at its limit: {_reason(details)}. Try again later, or raise the server's "
            "`--max-calls`."
        )
    return RemoteFailure(f"The call to {target} failed: {_reason(details)}. The server's log says more.")


def _unavailable(details: str, target: str) -> SplitError:
    if "WRONG_VERSION_NUMBER" in details:
        return AuthenticationFailed(
            f"{target} does not speak TLS. Start the server with `--certificates DIR`, or, on this "
            "machine alone, connect with `insecure=True` and without `credentials`."
        )
    if any(word in details.replace(target, "").lower() for word in _TLS_WORDS):
        return AuthenticationFailed(
            f"TLS with {target} failed: {_reason(details)}. Check that both sides have certificates "
            "of the same authority, that none has expired, and that the name in the server's "
            "certificate is the one you connect to (`keras-split certs` makes a matching set)."
        )
    return ConnectionLost(
        f"No connection to {target}: {_reason(details)}. Check the address, that "
        "`keras-split serve` runs there, that both sides use TLS or neither does, and that this "
        "client's certificate is of the server's authority and has not expired."
    )


def _reason(details: str) -> str:
    """The last, most specific part of gRPC's nested description."""
    return details[-300:].rstrip(".") or "the connection was closed"
