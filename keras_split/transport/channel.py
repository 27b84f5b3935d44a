"""A client's connection."""

from __future__ import annotations

import os

import grpc

from keras_split.codec import Limits
from keras_split.roles import Caller
from keras_split.transport.addresses import check_target, is_loopback
from keras_split.transport.credentials import Credentials
from keras_split.transport.options import channel_options

# gRPC reads it when the process opens its first channel. Its own preparation for forks, such as those of a
# PyDataset's processes, now and then took the parent's open connection along; none of it is needed, since
# a fork never speaks on what it has inherited (`session.line`).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


def open_channel(
    target: str,
    credentials: Credentials | None,
    *,
    insecure: bool,
    limits: Limits,
    expects: Caller | None = None,
) -> grpc.Channel:
    """Opens a channel; gRPC connects when the first call is made.

    Args:
        target: `host:port`.
        credentials: This client's certificate and the authority that it trusts.
        insecure: Speak without TLS, which is possible on this machine only.
        limits: Ceilings on what the server may send.
        expects: Who must answer, wherever `target` is: another data owner, whose address is hearsay. None
            for whoever has a certificate for the host in `target`.

    Raises:
        ValueError: No credentials and not `insecure`, both, or `insecure` to another machine.
    """
    check_target(target)
    options = channel_options(limits)
    if expects is not None:
        options.append(("grpc.ssl_target_name_override", expects.host_name))
    if not insecure:
        return grpc.secure_channel(target, _required(credentials).channel_credentials(), options)
    if credentials is not None:
        raise ValueError("Pass either `credentials` or `insecure=True`, not both.")
    if not is_loopback(target):
        raise ValueError(
            "Without TLS anyone on the way reads and changes the tensors, so `insecure=True` is for "
            f"loopback addresses only. Pass `credentials=`. Received: target={target!r}."
        )
    return grpc.insecure_channel(target, options)


def _required(credentials: Credentials | None) -> Credentials:
    if credentials is None:
        raise ValueError(
            "A connection needs `credentials=keras_split.Credentials.from_directory(...)`; "
            "`keras-split certs` makes a set for development. To speak without TLS on this machine, "
            "say `insecure=True`."
        )
    return credentials
