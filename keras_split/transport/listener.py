"""A server's port."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc

from keras_split.codec import Limits
from keras_split.transport.addresses import is_loopback
from keras_split.transport.credentials import Credentials
from keras_split.transport.options import server_options


class Listener:
    """A gRPC server on one address.

    Args:
        address: `host:port`; port 0 picks a free one.
        credentials: The server's certificate; clients must have one of the same authority. None to
            speak without TLS.
        limits: Ceilings on what a client may send.
        max_calls: Calls at the same time, streams included; each costs a thread. More are refused.
        bind_any: Allow an address other than loopback without TLS.

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
    ):
        if credentials is None and not (is_loopback(address) or bind_any):
            raise ValueError(
                "Without TLS the server listens on loopback only. Give `--certificates DIR`, or say "
                f"`--insecure --bind-any` if the network is trusted. Received: address={address!r}."
            )
        self.server = grpc.server(
            ThreadPoolExecutor(max_workers=max_calls, thread_name_prefix="call"),
            options=server_options(limits),
            maximum_concurrent_rpcs=max_calls,
        )
        self.port = self._bind(address, credentials)

    def start(self) -> None:
        """Accepts calls from now on."""
        self.server.start()

    def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, lets those that run finish for a while, and returns when all have."""
        self.server.stop(grace_seconds).wait()

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
