"""`connect`, on the class for a new client and on an instance for a half that was loaded."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol, cast, overload

from keras_split.audit import AuditLog
from keras_split.codec import Limits
from keras_split.crypto import Identity
from keras_split.model.approval import Approve, ask, check_approve
from keras_split.model.connection import Connection
from keras_split.model.ownership import Ownership
from keras_split.model.topology import build_parts
from keras_split.naming import topology_digest
from keras_split.owners import Places, member_of, way_of
from keras_split.session import Session, Timeouts, open_session
from keras_split.topology import read_offer
from keras_split.transport import Credentials

if TYPE_CHECKING:
    from keras_split.model.split_model import SplitModel

# A run outlives a restart of its server, which loads TensorFlow and a model.
_RESTART_SECONDS = 120.0


class Connect:
    """`SplitModel.connect`: on the class for a new client, on a model for a half that was loaded."""

    @overload
    def __get__(self, instance: None, owner: type) -> Connecting: ...

    @overload
    def __get__(self, instance: SplitModel, owner: type) -> Reconnecting: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        return MethodType(_connect, owner) if instance is None else MethodType(_reconnect, instance)


class Connecting(Protocol):
    """`SplitModel.connect`, for type checkers."""

    def __call__(
        self,
        target: str,
        credentials: Credentials | None = None,
        *,
        insecure: bool = False,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        custom_layers: dict[str, type] | None = None,
        approve: Approve = None,
        decoder: Any = None,
        identity: Identity | str | Path | None = None,
        roster: str | Path | None = None,
        handover: str | Places = "server",
        audit_log: str | Path | None = None,
    ) -> SplitModel:
        """See `SplitModel.connect`."""


class Reconnecting(Protocol):
    """`connect` of a model, for type checkers."""

    def __call__(
        self,
        target: str,
        credentials: Credentials | None = None,
        *,
        insecure: bool = False,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        audit_log: str | Path | None = None,
    ) -> SplitModel:
        """See `SplitModel.connect`."""


def _connect(
    _cls: Any,
    target: str,
    credentials: Credentials | None = None,
    *,
    insecure: bool = False,
    timeouts: Timeouts | None = None,
    limits: Limits | None = None,
    custom_layers: dict[str, type] | None = None,
    approve: Approve = None,
    decoder: Any = None,
    identity: Identity | str | Path | None = None,
    roster: str | Path | None = None,
    handover: str | Places = "server",
    audit_log: str | Path | None = None,
) -> SplitModel:
    """Joins a server.

    `SplitModel.connect(...)` makes a new client of a server that owns the architecture (paper,
    section 3, requirements 2 and 3): the head is built from the server's topology once that has been
    validated, with initial weights from a secret of this process; optimizer, loss and metrics are the
    server's. Before anything is built, `connect` prints what it is about to run: layers, parameters, what is
    sent to the server, and the digest of all this.

    `split.connect(...)` on a model from `keras.models.load_model` gives it its server back, which
    returns to the snapshot that belongs to the loaded half.

    Args:
        target: `host:port` of a `keras-split serve`.
        credentials: Certificate and authority of this client.
        insecure: Without TLS; loopback only.
        timeouts: Deadlines. A member of a run that gives none asks two minutes for a server that is gone.
        limits: Ceilings on what the server may send.
        custom_layers: Own layer classes that the topology may use, by their registered names.
        approve: Who says yes to that. A digest runs the topology that has it and no other, and prints
            nothing. A function gets an `Offer` after it was printed, and returns True or False. None runs
            whatever passes the validation. `keras.config.disable_interactive_logging()` has the table
            logged in place of printed.
        decoder: As in `SplitModel`; the server does not hear of it.
        identity: Private keys of a member of the server's run: a `keras_split.Identity`, or the file that
            `keras-split keygen` made, if it has no passphrase.
        roster: File of the run's signed roster. With `identity`, `fit` waits for this member's turns, takes
            over the state that the last member left, and hands over its own.
        handover: How: `"server"`, `"store://host:port"`, `"peer"`, `"file:///share"`, `"s3://bucket/prefix"`
            or another URL of fsspec; or a `keras_split.Places` that says more.
        audit_log: File to which this client appends what it asked for and what crossed, in lines that are
            chained by digests and hold no contents; `keras-split log verify` checks it.

    Returns:
        The connected `SplitModel`.

    Raises:
        SplitError: No server, another version, or a topology that must not be run or was not approved.
    """
    approve = check_approve(approve)
    membership = member_of(identity, roster, handover)
    if membership is not None:
        timeouts = timeouts or Timeouts(reconnect_seconds=_RESTART_SECONDS)
    given = {"insecure": insecure, "timeouts": timeouts, "limits": limits}
    with ExitStack() as opened:
        session, audit = _opened(opened, target, credentials, audit_log, **given)
        joined = session.join()
        offer = read_offer(joined.topology, joined.digest, joined.settings, custom_layers)
        ask(offer, approve)
        parts = build_parts(offer, custom_layers)
        model = _cls._of(parts, joined.topology, Connection.of(session, joined), decoder)
        model.compile()
        if membership is not None:
            way = opened.enter_context(closing(way_of(membership, target, credentials, insecure=insecure)))
            model._ownership = Ownership(model, model._halves, membership, way, audit)
        opened.pop_all()
    return cast("SplitModel", model)


def _reconnect(
    _self: Any,
    target: str,
    credentials: Credentials | None = None,
    *,
    insecure: bool = False,
    timeouts: Timeouts | None = None,
    limits: Limits | None = None,
    audit_log: str | Path | None = None,
) -> SplitModel:
    """Gives a half that was loaded its server back, which returns to the snapshot that belongs to the half.

    Args:
        target: `host:port` of a `keras-split serve`.
        credentials: Certificate and authority of this client.
        insecure: Without TLS; loopback only.
        timeouts: Deadlines.
        limits: Ceilings on what the server may send.
        audit_log: As for `SplitModel.connect`.

    Returns:
        This model, connected.

    Raises:
        SplitError: No server, or one of another version, topology or settings.
    """
    given = {"insecure": insecure, "timeouts": timeouts, "limits": limits}
    with ExitStack() as opened:
        session, _ = _opened(opened, target, credentials, audit_log, **given)
        _self._halves.move(Connection(lambda: session, topology_digest(_self._halves.topology)))
        opened.pop_all()
    return cast("SplitModel", _self)


def _opened(
    opened: ExitStack,
    target: str,
    credentials: Credentials | None,
    audit_log: str | Path | None,
    **given: Any,
) -> tuple[Session, AuditLog | None]:
    """A session and its log, closed again if something fails: the next attempt writes the same log."""
    audit = None if audit_log is None else opened.enter_context(closing(AuditLog(audit_log)))
    return opened.enter_context(closing(open_session(target, credentials, audit, **given))), audit


for _function in (_connect, _reconnect):
    # What `help` and errors call it.
    _function.__name__, _function.__qualname__ = "connect", "SplitModel.connect"
