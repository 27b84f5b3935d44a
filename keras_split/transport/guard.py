"""What every call passes before the service sees it: who calls, how many, and how slowly.

Each call is read as a stream, also where the protocol has one message: gRPC would otherwise wait for that
message on a thread before it tells anybody who calls. On the wire there is no difference.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import grpc

from keras_split.codec import Limits
from keras_split.errors import ProtocolError, SplitError
from keras_split.roles import Caller
from keras_split.transport.accounts import (
    Account,
    Accounts,
    Leaving,
    arriving,
    counted,
    leaving,
    no_accounts,
    refusal,
)
from keras_split.transport.authorisation import caller, check_caller, check_request, refuse
from keras_split.transport.patience import Patience, PatientRequests
from keras_split.transport.policy import APART, Policy
from keras_split.transport.shares import Shares
from keras_split.transport.watch import Watch, Watched

_log = logging.getLogger(__name__)


class Lane(NamedTuple):
    """Calls that share threads.

    Args:
        shares: How many there may be.
        threads: On which they run; a few more than there may be calls, so that one too many is refused
            at once.
    """

    shares: Shares
    threads: ThreadPoolExecutor


class Guard(grpc.ServerInterceptor):
    """Wraps each call of a server.

    Args:
        policy: Who may call what; None for a port without TLS, where nobody can be told from others.
        members: Data owners of a run, if the port is for one.
        limits: Of messages.
        patience: Deadlines.
        watch: Keeps them.
        work: For the calls of the policy.
        apart: For health checks, which must be answered whatever the others do.
        accounts: Of the parties.
    """

    def __init__(
        self,
        policy: Policy | None,
        limits: Limits,
        patience: Patience,
        watch: Watch,
        *,
        work: Lane,
        apart: Lane,
        members: Collection[str] | None = None,
        accounts: Accounts = no_accounts,
    ):
        self._policy = policy
        self._members = members
        self._limits = limits
        self._patience = patience
        self._watch = watch
        self._work = work
        self._apart = apart
        self._accounts = accounts

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """For gRPC."""
        handler = continuation(handler_call_details)
        return handler and self._guarded(handler, handler_call_details.method)

    def _guarded(self, handler: grpc.RpcMethodHandler, call: str) -> grpc.RpcMethodHandler:
        behave, make = _behaviour(handler), grpc.stream_stream_rpc_method_handler
        if getattr(behave, "experimental_non_blocking", False):
            guarded = self._without_thread(behave, call)
        elif handler.response_streaming:
            guarded = self._streaming(behave, call, handler.request_streaming)
        else:
            guarded, make = self._single(behave, call, handler.request_streaming), _STREAM_UNARY
        guarded.experimental_thread_pool = self._lane(call).threads
        return make(guarded, arriving(handler.request_deserializer), leaving(handler.response_serializer))

    def _without_thread(self, behave: Any, call: str) -> Any:
        """Health's `Watch`, which returns at once, and is answered by who changes the health."""

        def without_thread(requests: Iterator[Any], context: grpc.ServicerContext, send: Any) -> Any:
            with self._let_in(requests, context, call) as (patient, _, _):
                return behave(self._first(patient, context, call), context, send)

        without_thread.experimental_non_blocking = True  # type: ignore[attr-defined]
        return without_thread

    def _single(self, behave: Any, call: str, streams: bool) -> Any:
        def single(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            with self._let_in(requests, context, call) as (patient, _, account):
                given = patient if streams else self._first(patient, context, call)
                return Leaving(behave(given, context), account)

        return single

    def _streaming(self, behave: Any, call: str, streams: bool) -> Any:
        def streaming(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            with self._let_in(requests, context, call) as (patient, watched, account):
                given = patient if streams else self._first(patient, context, call)
                for reply in behave(given, context):
                    until = time.monotonic() + self._patience.frame_seconds
                    with watched.waits_for("somebody who takes the reply", until):
                        yield Leaving(reply, account)

        return streaming

    @contextlib.contextmanager
    def _let_in(
        self, requests: Iterator[Any], context: grpc.ServicerContext, call: str
    ) -> Iterator[tuple[PatientRequests, Watched, Account]]:
        client = _client(context)
        account = self._accounts(client.name if isinstance(client, Caller) else "")
        with contextlib.ExitStack() as held:
            held.callback(_tell_refusal, context, call, account)
            try:
                if self._policy is not None and not _is_apart(call):
                    check_caller(context, call, self._policy, self._members)
                held.enter_context(self._lane(call).shares.one(client))
            except SplitError as error:
                self._refuse(context, call, error)
            watched = Watched(f"{call} of {client or context.peer()}", context.cancel)
            held.enter_context(self._watch.over(watched))
            arrived = counted(requests, account)
            yield PatientRequests(arrived, watched, self._patience, self._limits), watched, account

    def _first(self, requests: PatientRequests, context: grpc.ServicerContext, call: str) -> Any:
        """The only request of a call that has one."""
        try:
            request = next(requests, None)
            if request is None:
                raise ProtocolError(f"{call} takes one request, and there was none.")
            if self._policy is not None and not _is_apart(call):
                check_request(context, call, self._policy, request)
        except SplitError as error:
            self._refuse(context, call, error)
        return request

    def _refuse(self, context: grpc.ServicerContext, call: str, error: SplitError) -> None:
        _log.warning("%s was refused: %s", call, error)
        refuse(context, error)

    def _lane(self, call: str) -> Lane:
        return self._apart if _is_apart(call) else self._work


_STREAM_UNARY = grpc.stream_unary_rpc_method_handler


def _behaviour(handler: grpc.RpcMethodHandler) -> Any:
    kinds = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(kind for kind in kinds if kind is not None)


def _is_apart(call: str) -> bool:
    return call.startswith(APART)


def _tell_refusal(context: grpc.ServicerContext, call: str, account: Account) -> None:
    error = refusal(context)
    if error:
        account.refused(call.rpartition("/")[2], error)


def _client(context: grpc.ServicerContext) -> Hashable:
    """Whose share a call takes: the party's, or at least the certificate's; None without TLS."""
    found = caller(context)
    if found is not None:
        return found
    subjects = context.auth_context().get("x509_subject", ())
    return b" ".join(subjects).decode("utf-8", "replace") or None
