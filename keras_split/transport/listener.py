"""A server's port."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import grpc

from keras_split.codec import Limits
from keras_split.transport.accounts import Accounts, no_accounts
from keras_split.transport.addresses import is_loopback
from keras_split.transport.credentials import Credentials
from keras_split.transport.guard import Guard, Lane
from keras_split.transport.options import server_options
from keras_split.transport.patience import Patience
from keras_split.transport.policy import POLICY, Policy
from keras_split.transport.shares import Shares
from keras_split.transport.watch import Watch

# On which calls are refused that are one too many, at once and not in their turn.
_SPARE_THREADS = 8
_HEALTH_CALLS, _HEALTH_CALLS_PER_CLIENT = 16, 2


class Listener:
    """A gRPC server on one address.

    Args:
        address: `host:port`; port 0 picks a free one.
        credentials: The server's certificate; clients must have one of the same authority. None to
            speak without TLS.
        limits: Ceilings on what a client may send.
        max_calls: Calls at the same time, streams included; each costs a thread. More are refused.
        bind_any: Allow an address other than loopback without TLS.
        max_calls_per_client: Of these, one party's, where there are certificates. None for half of them.
        policy: Which role may make which call.
        members: Data owners of a run, where nobody else may train; None for all of the authority.
        patience: Deadlines for a client's bytes.
        accounts: Of what parties send and get.

    Raises:
        ValueError: No TLS on an address that others can reach.
        OSError: The address is taken or not this machine's.
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials | None,
        limits: Limits,
        max_calls: int = 64,
        bind_any: bool = False,
        *,
        max_calls_per_client: int | None = None,
        policy: Policy = POLICY,
        members: Collection[str] | None = None,
        patience: Patience | None = None,
        accounts: Accounts = no_accounts,
    ):
        if credentials is None and not (is_loopback(address) or bind_any):
            raise ValueError(
                "Without TLS the server listens on loopback only. Give `--certificates DIR`, or say "
                f"`--insecure --bind-any` if the network is trusted. Received: address={address!r}."
            )
        work = _lane("call", max_calls, max_calls_per_client or (max_calls + 1) // 2)
        self._apart = _lane("health", _HEALTH_CALLS, _HEALTH_CALLS_PER_CLIENT)
        self._watch = Watch()
        rules = None if credentials is None else policy
        guard = Guard(
            rules,
            limits,
            patience or Patience(),
            self._watch,
            work=work,
            apart=self._apart,
            members=members,
            accounts=accounts,
        )
        self.server = grpc.server(work.threads, interceptors=(guard,), options=server_options(limits))
        self.port = self._bind(address, credentials)

    def start(self) -> None:
        """Accepts calls from now on."""
        self._watch.start()
        self.server.start()

    def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, lets those that run finish for a while, and returns when all have."""
        self.server.stop(grace_seconds).wait()
        self._watch.stop()
        self._apart.threads.shutdown(wait=False)

    def _bind(self, address: str, credentials: Credentials | None) -> int:
        try:
            if credentials is None:
                return self.server.add_insecure_port(address)
            return self.server.add_secure_port(address, credentials.server_credentials())
        except RuntimeError as error:
            raise OSError(
                f"Cannot listen on {address}: is another server running there, or is the address not "
                f"this machine's? ({error})"
            ) from None


def _lane(name: str, calls: int, each: int) -> Lane:
    return Lane(Shares(calls, each), ThreadPoolExecutor(calls + _SPARE_THREADS, thread_name_prefix=name))
